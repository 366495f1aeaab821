"""Why the largest errors are large, as far as the sources tell, by the beginning of a run's name.

"Not known" is an answer: a cause is written down only where the source shows it, and says so where we infer
it.
"""

from __future__ import annotations

NOT_KNOWN = "not known"
ADAPTERS = "likely the adapters' casts and small kernels, for which all libraries share three constants"
KERNELS = (
    "stock or fused kernels, which a question does not say: the same question took 2.5, 3.0 and 3.9 s"
    " (fms-106, fms-102, fms-098)"
)
KEPT = "stock or fused kernels, which a question does not say, keep different activations and copies"
XLA = "TensorFlow with XLA, which compiles parts of the graph; taken as fused by hand"
CACHE = "likely what the caching allocator keeps beyond the peak, which depends on the order of allocations"
TIME_CAUSES = {
    "trn1-bert-large": "whether the compiler casts fp32 matmuls down is not published",
    "internevo-7b-tp1-zall-1024g": (
        "speed per GPU falls from 3,571 tokens/s on 128 GPUs to 2,271 on 1,024 (4 x 100 Gbit/s RoCE);"
        " likely congestion, which is not modelled"
    ),
    "mbridge2511": "mixtures whose host sets the pace: what it does for each expert is one constant for all",
    "nemo2303": "global batch and micro-batch are the recipe's, assumed for every number of nodes",
    "nvbert-tf": XLA,
    "bloom-prequel": "one timing of the second iteration; some layouts split the layers unevenly",
    "kempnerforge": "speed of the network between nodes is assumed",
    "qwen-000": "likely the host: at 256 tokens it sets the pace, and hosts differ; published as 1.0 s",
    "qwen-039": "likely the host: at 256 tokens it sets the pace, and hosts differ; published as 1.6 s",
    "qwen-026": "3.0 s at 256 and 512 tokens, 3.5 s at 1,024, 7.0 s at 2,048: likely the host's pace",
    "qwen-030": "likely DeepSpeed's host work for each gathered parameter, which is not modelled",
    "fms-": KERNELS,
    "fms-091": ADAPTERS,
    "fms-095": ADAPTERS,
}
#: Causes of errors of whole sources, for the page: what is measured says so, the rest is inferred.
SOURCE_CAUSES = {
    "torchao-mx": "twice the predicted time at all rows alike, and at its page's bf16 run too (8,308 tokens a"
    " second), so it is the machine, not its fp8; a limit of 750 W, which its authors' machines have, is a"
    " sixth of it; a measured matmul rate would tell",
    "simumax-b200": "its own sweep of matmuls, at 0.6 of what other B200 reach, is an input; its experts'"
    " grouped products reach less",
    "nanotron-playbook": "written as Megatron; its own plot has gathers of 256 MB fall from 185 GB/s on 2"
    " nodes to 11 on 64, of which a ring's latency explains a fifth",
    "neuron-trn1-older": "the same job takes 14.4 and 19.3 s from one SDK to the next; BERT's steps have"
    " 0.3 s beside their micro-batches",
    "neuron-trn1": "SDK releases differ by a third",
    "megatron-bridge-25.11": "mixtures whose host sets the pace (qwen3-30b in fp8: 32 ms a block): what it"
    " does for each expert is one constant for all",
    "stas00-ml-engineering": "Adam on the host takes more than a step's half at 8k tokens; the share of the"
    " host's memory bandwidth that it reaches is one judgement, and torch releases differ by 23 %",
    "torchao-optim": "what an optimizer on a desktop's host waits for: DeepSpeed's 1.9 s, torchao's 0.25",
    "jax-toolbox-pax": "XLA compiles the whole graph; without and with Transformer Engine 0.74 and 0.60 s,"
    " which is one word here",
    "deepspeed-autotuning": "plain and DeepSpeed runs of one job 0.45 and 0.32 s; libraries of 2021 on V100",
    "flagperf": "H800 rows at a published 27 % of peak, where other sources' H100 reach 40 to 50, with the"
    " slower NVLink counted; networks assumed",
    "nemo-launcher-23.03": "175B at the same rate on 16 to 128 nodes, 23 % below Korthikanti et al.'s own"
    " run of that model: the release of NeMo",
    "nvidia-biobert": "TensorFlow 1 of 2019 with small micro-batches; V100 of 300 and 450 W",
    "nvidia-bert-tf": XLA,
    "nvidia-bert-tf2": "TensorFlow with XLA, a compiler that is not modelled",
    "universal-llm-trainer": "masked attention: a mask halves the kernel's rate here, on RTX PRO 6000 in 16"
    " bits it costs more, on A100 and H100 less",
    "prime-rl-bench": "the reinforcement learner's loss in eager chunks of the vocabulary, and a mixture's"
    " routing on the host",
    "dgxc-hf-peft": "the Trainer's time has evaluation and saving in it, 2 to 9 % by its totals; plain"
    " modules on H100",
    "primus-mi355x": "one pair, balanced and not: the router's spread is 1.8 times, ours 1.1",
    "megatron-bridge": "mixtures in fp8: releases of one recipe differ by a third (25.09 to 26.04), and"
    " other sources' experts are not grouped and pull the other way",
    "dgxc-benchmarking-moe": "the recipe of v25.01 in a newer container, 8 to 15 % slower than there",
    "bloom-prequel": "one timing of the second iteration; some layouts split the layers unevenly",
}
#: The same of memory, with what would settle it.
MEMORY_SOURCE_CAUSES = {
    "prime-rl-bench": "twins of one request at 6.3 and 17.5 GiB, which nothing in their logs tells apart; its"
    " supervised runs are within 3 %",
    "axolotl-examples": "a rounded figure in a README, counter not said (one of 4.7 GB where all tensors sum"
    " to 1.2): a log of the run would tell",
    "torchao-mx": "a mixture cut to two layers, whose vocabulary and load of experts are not told",
    "nanotron-playbook": "two-stage layouts of 3.6B take 8 to 10 GiB more than is counted whatever the"
    " micro-batch, others are within 4 %: how the stages are split is not told",
    "stas00-ml-engineering": "left out, no other run of 64k tokens and more holds the reserve of its shares:"
    " a second source of long sequences would",
    "flagperf": "whole gigabytes of a monitoring tool; one layout of a model 26 % over and one 19 % under",
    "bigscience-v100": "two rows of one layout, whole gigabytes",
    "torchtitan": "405B with three kinds of parallelism at a micro-batch that its table leaves open",
    "megatron-pr482": "Megatron-LM of 2023 with RMSNorm and SwiGLU of PyTorch",
    "universal-llm-trainer": "rounded figures, counter not said",
    "torchtune": "8-bit Adam leaves some tables in 32 bits; a table whose batch is given twice",
    "qwen": "the tool behind the figure and its unit (GB or GiB) are not published",
    "kempnerforge": "its 13B's inner width is computed from the parameter count",
    "torchao-optim": "gradients offloaded one by one, for which a question has no word",
    "bloom-prequel": "snapshots in whole gigabytes; some fp16 layouts need a byte a parameter more",
    "megatron-functional": "two rows of one model",
    "primus-mi355x": "one pair: the load of the fullest expert rank, told by one other source",
    "fms-acceleration": "GPT-BigCode keeps its logits in 16 bits, and several times over under autocast",
    "litgpt": "quantised layers widen their inputs by a share that is fitted",
    "torchtitan-memory": "stock or compiled, 4 % either way",
}
MEMORY_CAUSES = {
    "fms-": KEPT,
    "qwen-": "the tool behind the figure and its unit (GB or GiB) are not published",
    "torchtune-016": "the table says GB where its neighbours say GiB; its batch differs from the config's",
}


def cause_of_source(source: str, *, memory: bool = False) -> str:
    """The cause recorded for a whole source, of its errors of time or of memory."""
    return (MEMORY_SOURCE_CAUSES if memory else SOURCE_CAUSES).get(source, NOT_KNOWN)


def cause(row_id: str, quantity: str) -> str:
    """The cause recorded for a run: that of the longest key that its name starts with."""
    causes = TIME_CAUSES if quantity == "step time" else MEMORY_CAUSES
    keys = [key for key in causes if row_id.startswith(key)]
    if keys:
        return causes[max(keys, key=len)]
    return CACHE if quantity == "nvidia-smi memory" else NOT_KNOWN
