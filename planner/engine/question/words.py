"""The words of every choice, once: what a request may say, in the order in which people are offered it.

Each table goes from a value of the JSON contract to its ``Word``. The records' ``Literal`` types name the
same values for the type checker; a test ties the two. Contract, forms, documents, catalog and pages read
these.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Word(NamedTuple):
    """label: beside the choice in a form or table.  phrase: within a sentence; "" where the label will do."""

    label: str
    phrase: str = ""

    def in_sentence(self) -> str:
        """The phrase, or the label where there is none."""
        return self.phrase or self.label


Words = Mapping[str, Word]


def _words(**words: str | tuple[str, str]) -> Words:
    return MappingProxyType(
        {value: Word(word) if isinstance(word, str) else Word(*word) for value, word in words.items()}
    )


TASKS = _words(pretraining="Pretrain", full_finetuning="Fine-tune", lora="LoRA", qlora="QLoRA", ppo="PPO")
PRECISIONS = _words(bf16="bf16", fp16="fp16", fp8="fp8", tf32="tf32", fp32="fp32")
OPTIMIZERS = _words(
    adamw="AdamW",
    adamw_8bit="AdamW, 8 bit",
    adafactor="Adafactor",
    sgd="SGD",
    lion="Lion",
    muon="Muon",
    lamb="LAMB",
)
ATTENTIONS = _words(flash="Flash", standard="Standard")
ATTENTION_KERNELS = _words(
    standard=("Standard (unfused)", "unfused attention"),
    sdpa_math=("PyTorch's math path", "PyTorch's unfused attention"),
    memory_efficient=("Memory-efficient (masked)", "PyTorch's memory-efficient attention under a mask"),
    flash_1=("FlashAttention", "FlashAttention-1 kernels"),
    flash_2=("FlashAttention-2", "FlashAttention-2 kernels"),
    flash_3=("FlashAttention-3 and later", "FlashAttention-3 kernels"),
    cudnn=("cuDNN", "cuDNN's attention kernels"),
)
KERNELS = _words(
    plain=("Plain PyTorch", "stock PyTorch kernels"),
    compiled=("Compiled", "compiled kernels"),
    fused=("Fused by hand (Liger, Unsloth, Apex)", "hand-fused kernels"),
    transformer_engine=("Transformer Engine", "Transformer Engine's kernels"),
)
SEQUENCE_KINDS = _words(
    full=("Every row full", "full rows"),
    packed=("Packed", "packed rows"),
    padded_to_max=("Padded to the row's length", "rows padded to their length"),
    padded_to_longest=("Padded to the longest of the batch", "rows padded to the longest of the batch"),
    unpadded=("Unpadded", "rows without padding"),
)
FABRICS = _words(
    infiniband="InfiniBand",
    roce=("RoCE", "RDMA over Ethernet (RoCE)"),
    efa_v1=("EFA (P3dn, P4, Trn1)", "AWS EFA of the first generation"),
    efa_v2=("EFA v2 (P5)", "AWS EFA of the second generation"),
    efa_v3=("EFA v3 and later (P5en, P6, Trn2)", "AWS EFA of the third generation and later"),
    tcpx=("GPUDirect-TCPX (A3 High)", "Google's GPUDirect-TCPX"),
    tcpxo=("GPUDirect-TCPXO (A3 Mega)", "Google's GPUDirect-TCPXO"),
    ethernet=("Ethernet (TCP)", "plain TCP over Ethernet"),
)
DISPATCHERS = _words(all_to_all="All-to-all", all_gather="All-gather", deepep="DeepEP", hybridep="HybridEP")
BALANCES = _words(
    forced=("Forced", "tokens spread evenly by force"), learned=("Learned", "the router's own spread")
)
RECOMPUTES = _words(
    none=("None", "no activation recompute"),
    selective=("Selective", "selective activation recompute"),
    full=("Full", "full activation recompute"),
)
AUTO = "auto"
RECOMPUTE_CHOICES: Words = MappingProxyType({AUTO: Word("Automatic"), **RECOMPUTES})
OFFLOADS = _words(
    none="None",
    optimizer=("Optimizer to host", "optimizer offloaded"),
    parameters=("Parameters to host", "parameters offloaded"),
    activations=("Activations to host", "activations offloaded"),
)
GRADIENT_SYNCS = _words(every_micro_batch="Every micro-batch", last_micro_batch="Last micro-batch (no_sync)")
ADAPTER_WRAPPINGS = _words(with_base="With the base", apart="Apart")
PRIMARY_WEIGHTS = _words(bf16="bf16", fp16="fp16", fp32="fp32", fp8="fp8")
RECOMPUTE_MODULES = _words(
    attention_core="Attention core",
    norms="Norms",
    activation="Activation function",
    mlp="MLP",
    moe_experts="Experts",
    mla_up_projection="Latent attention's up-projection",
)
TRAINING_OBJECTIVES = _words(
    sft=("SFT", "supervised fine-tuning"),
    dpo=("DPO", "direct preference optimisation"),
    kto=("KTO", "Kahneman-Tversky optimisation"),
    reward=("Reward model", "reward modelling"),
    mlm=("Masked language model", "masked-language modelling"),
)
FRAMEWORKS = _words(
    generic="Generic",
    megatron="Megatron-LM",
    fsdp="PyTorch FSDP",
    deepspeed="DeepSpeed",
    torchtitan="torchtitan",
    neuron="AWS Neuron",
    trl="TRL",
    axolotl="axolotl",
    torchtune="torchtune",
    llama_factory="LLaMA-Factory",
    unsloth="Unsloth",
)
MASTER_WEIGHTS = _words(separate="fp32 beside a working copy", only="fp32 alone", none="None")
STATE_PRECISIONS = _words(fp32="fp32", bf16="bf16", fp16="fp16", int8="int8")
OPTIMIZER_KERNELS = _words(fused="Fused", foreach="Foreach", paged="Paged")
LOSSES = _words(whole="Whole logits", compiled="Whole logits, compiled", chunked="In chunks", fused="Fused")
LOSS_PRECISIONS = _words(fp32="fp32", bf16="bf16", fp16="fp16")
#: What of the logits the training loop's own variables hold while the backward pass runs.
LOGITS_KEPT = _words(**{"none": "No", "16_bit": "In 16 bits", "fp32": "In fp32"})
FROZEN_PRECISIONS = _words(
    bf16="bf16",
    fp16="fp16",
    fp32="fp32",
    fp8="fp8",
    int8="int8",
    int4="int4",
    nf4="nf4",
    nvfp4="NVFP4",
    mxfp4="MXFP4",
)
SHARDINGS = _words(
    none=("None", "no sharding of states"),
    zero1=("ZeRO-1: optimizer states", "ZeRO-1 (optimizer states sharded)"),
    zero2=("ZeRO-2: and gradients", "ZeRO-2 (optimizer states and gradients sharded)"),
    zero3=("ZeRO-3 / FSDP: and weights", "ZeRO-3 (weights, gradients and optimizer states sharded)"),
)
ALGORITHMS = _words(
    ppo="PPO",
    grpo="GRPO",
    rloo="RLOO",
    dapo="DAPO",
    gspo="GSPO",
    gpg="GPG",
    reinforce="REINFORCE",
)
ENGINES = _words(
    static=("Static batches", "static batches in the training stack"),
    vllm="vLLM",
    sglang="SGLang",
    tensorrt_llm="TensorRT-LLM",
)
ENGINE_PRECISIONS = _words(bf16="bf16", fp16="fp16", fp8="fp8")
PLACEMENTS = _words(
    colocated=("Same accelerators", "generation and training take turns on the same accelerators"),
    split=("Apart", "generation and training have accelerators of their own"),
)
PURCHASES = _words(
    on_demand=("On demand", "on demand"),
    spot=("Spot", "spot"),
    reserved_1y=("Reserved, 1 year", "reserved for 1 year"),
    reserved_3y=("Reserved, 3 years", "reserved for 3 years"),
    savings_1y=("Savings plan, 1 year", "savings plan of 1 year"),
    savings_3y=("Savings plan, 3 years", "savings plan of 3 years"),
    capacity_block=("Capacity block", "capacity block"),
)
PAYMENT_OPTIONS = _words(
    no_upfront=("No upfront", "nothing up front, paid by the month"),
    partial_upfront=("Partial upfront", "half up front, the rest by the month"),
    all_upfront=("All upfront", "all of it paid up front"),
)
OBJECTIVES = _words(cost="Cost", time="Time", balanced="Balanced")
