"""Benchmarks `.tflite` files on this machine: latency, memory, reports of schema `tfcompress.bench/1`."""
