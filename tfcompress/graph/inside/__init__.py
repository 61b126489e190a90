"""What happens inside the `call` of layers that are not in the layer table: their operations, one by one."""
