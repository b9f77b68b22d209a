"""What the functions of `semppl_keras.runs` return, which prints short."""
