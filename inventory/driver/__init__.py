"""Reading one host: the gateway to NVML, Neuron, the kernel log. Knows the wire records alone."""
