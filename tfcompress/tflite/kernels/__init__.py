"""Which widths of weights the kernels of the runtime compute right."""
