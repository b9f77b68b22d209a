"""Values to tables, pictures and pages."""
