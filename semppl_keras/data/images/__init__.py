"""Files, tables and archives to arrays of images."""
