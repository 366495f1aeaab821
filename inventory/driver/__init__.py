"""Reading one host: the gateway to NVML, Neuron tools, the kernel log. Uses only the wire records."""
