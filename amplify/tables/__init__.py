"""User files and arrays as samples: named columns of numbers in chunks, checked; nothing in a file
is executed.
"""
