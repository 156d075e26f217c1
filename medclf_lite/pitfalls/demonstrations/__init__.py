"""The demonstrations, one module a part of the work; importing this package registers them."""
