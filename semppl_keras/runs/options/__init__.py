"""What each function of `semppl_keras.runs` is asked for, checked where it comes in."""
