"""The catalog in the database: what people may look up, correct and add to in the admin.

Each row says who says so and since when, and remembers what was shipped, so that a person's edit is told from
the project's own data and never lost. Figures are in the units of the sources (MiB, GB/s, TFLOPS), named in
the field; ``planner.catalog.rows`` turns rows into the engine's SI records. The database refuses nonsense.
"""

from __future__ import annotations

import re
from itertools import pairwise

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q

from planner.catalog.base_models import CatalogQuerySet, CatalogRow, CatalogStamp, positive
from planner.catalog.facts.records import DEFAULT_REGIONS, PROVIDER_NAMES
from planner.engine.question.words import PAYMENT_OPTIONS, PURCHASES

__all__ = [
    "Accelerator",
    "Availability",
    "CatalogQuerySet",
    "CatalogRow",
    "CatalogStamp",
    "InstanceType",
    "MigProfile",
    "Price",
    "TransformerModel",
]

SLUG = RegexValidator(
    r"^[a-z0-9][a-z0-9._-]*$", "Use lower-case letters, digits, dots and hyphens, as p5.48xlarge."
)
API_NAME = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
    "Use the provider's name, as p5.48xlarge or Standard_ND96isr_H100_v5.",
)
NUMBERS = RegexValidator(r"^\d+( \d+)*$", "Write whole numbers with single spaces between, as 0 2 4.")
POSITIVE = MinValueValidator(1)
MIG_NAME = re.compile(r"^(\d+)g\.\d+gb([+-][a-z]+(\.[a-z]+)*)?$")
"""A GPU instance's profile as the driver writes it: compute slices, memory, and what it has beside them."""


PEAKS = ("fp32_tflops", "tf32_tflops", "bf16_tflops", "fp16_tflops", "fp8_tflops", "int8_tops", "fp4_tflops")


class Accelerator(CatalogRow):
    """One kind of chip. Peak rates are dense; empty where the chip has no such unit."""

    FACTS = (
        "name",
        "vendor",
        "architecture",
        "memory_mib",
        "label_gb",
        "memory_bandwidth_gb_per_s",
        *PEAKS,
        "link",
        "link_gb_per_s_per_direction",
        "power_watts",
        "mig_capable",
        "ranks_per_accelerator",
    )

    slug = models.CharField(max_length=60, unique=True, validators=[SLUG])
    name = models.CharField(max_length=100)
    vendor = models.CharField(max_length=40)
    architecture = models.CharField(max_length=40, help_text="Generation, as ampere or hopper.")
    memory_mib = models.PositiveIntegerField(
        "memory (MiB)", help_text="As the driver reports it, not the label."
    )
    label_gb = models.PositiveIntegerField("memory on the label (GB)")
    memory_bandwidth_gb_per_s = models.FloatField("memory bandwidth (GB/s)")
    fp32_tflops = models.FloatField("fp32 (TFLOPS)", null=True, blank=True)
    tf32_tflops = models.FloatField(
        "tf32 (TFLOPS)", null=True, blank=True, help_text="Dense, as all rates here."
    )
    bf16_tflops = models.FloatField("bf16 (TFLOPS)", null=True, blank=True)
    fp16_tflops = models.FloatField("fp16 (TFLOPS)", null=True, blank=True)
    fp8_tflops = models.FloatField("fp8 (TFLOPS)", null=True, blank=True)
    int8_tops = models.FloatField("int8 (TOPS)", null=True, blank=True)
    fp4_tflops = models.FloatField("fp4 (TFLOPS)", null=True, blank=True)
    link = models.CharField(max_length=40, help_text="Kind of the link within a node, as nvlink4 or pcie4.")
    link_gb_per_s_per_direction = models.FloatField(
        "link, one direction (GB/s)", help_text="Data sheets add both directions: halve their figure."
    )
    power_watts = models.FloatField("power (W)", null=True, blank=True)
    mig_capable = models.BooleanField("MIG", default=False)
    ranks_per_accelerator = models.PositiveSmallIntegerField(
        "ranks per chip", default=1, help_text="1 on GPUs; 2 NeuronCores on a Trainium1 chip."
    )

    class Meta:
        ordering = ["pk"]
        constraints = positive(
            "memory_mib",
            "label_gb",
            "memory_bandwidth_gb_per_s",
            *PEAKS,
            "link_gb_per_s_per_direction",
            "power_watts",
            "ranks_per_accelerator",
        )

    def __str__(self) -> str:
        return self.name


class InstanceType(CatalogRow):
    """A kind of machine that one can buy."""

    FACTS = (
        "provider",
        "family",
        "accelerator_id",
        "accelerators_per_node",
        "internode_gbit_per_s",
        "link_gb_per_s_per_direction",
        "vcpus",
        "host_memory_gib",
        "local_storage_gb",
        "ultracluster_max_accelerators",
    )

    slug = models.CharField(max_length=60, unique=True, validators=[API_NAME])
    provider = models.CharField(
        max_length=20, choices=[(slug, PROVIDER_NAMES.get(slug, slug)) for slug in DEFAULT_REGIONS]
    )
    family = models.CharField(max_length=40)
    accelerator = models.ForeignKey(
        Accelerator, on_delete=models.PROTECT, related_name="instance_types", to_field="slug"
    )
    accelerators_per_node = models.PositiveSmallIntegerField("accelerators per node", validators=[POSITIVE])
    internode_gbit_per_s = models.FloatField(
        "network (Gbit/s)", help_text="Of the whole node, one direction; the baseline, not a burst."
    )
    link_gb_per_s_per_direction = models.FloatField(
        "link, one direction (GB/s)",
        null=True,
        blank=True,
        help_text="Only where this machine wires its chips otherwise than the accelerator's own row says.",
    )
    vcpus = models.PositiveIntegerField("vCPUs", null=True, blank=True)
    host_memory_gib = models.FloatField("host memory (GiB)", null=True, blank=True)
    local_storage_gb = models.PositiveIntegerField("local storage (GB)", null=True, blank=True)
    ultracluster_max_accelerators = models.PositiveIntegerField(
        "largest cluster (chips)", null=True, blank=True
    )

    class Meta:
        ordering = ["pk"]
        constraints = [
            *positive(
                "accelerators_per_node",
                "internode_gbit_per_s",
                "link_gb_per_s_per_direction",
                "vcpus",
                "host_memory_gib",
                "ultracluster_max_accelerators",
            ),
            models.CheckConstraint(
                condition=Q(provider__in=list(DEFAULT_REGIONS)), name="instancetype_provider_known"
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class Price(CatalogRow):
    """USD for one instance-hour, in force from ``valid_from`` up to, not including, ``valid_to``.

    Never overwritten: a new price is a new row, and the one before it ends on that day. The zones' prices are
    empty where a region has one price, or where they are unknown.
    """

    FACTS = ("usd_per_hour", "usd_per_hour_low", "usd_per_hour_high", "payment_option", "valid_to")

    instance_type = models.ForeignKey(
        InstanceType, on_delete=models.PROTECT, related_name="prices", to_field="slug"
    )
    region = models.CharField(max_length=40, validators=[SLUG])
    purchase = models.CharField(
        max_length=20, choices=[(slug, word.label.lower()) for slug, word in PURCHASES.items()]
    )
    usd_per_hour = models.DecimalField(
        "USD per hour", max_digits=12, decimal_places=6, help_text="For one instance, Linux, without tax."
    )
    usd_per_hour_low = models.DecimalField(
        "USD per hour, cheapest zone", max_digits=12, decimal_places=6, null=True, blank=True
    )
    usd_per_hour_high = models.DecimalField(
        "USD per hour, dearest zone", max_digits=12, decimal_places=6, null=True, blank=True
    )
    payment_option = models.CharField(
        "payment",
        max_length=20,
        blank=True,
        choices=[(slug, word.label) for slug, word in PAYMENT_OPTIONS.items()],
        help_text="How a commitment or a block is paid; empty: nothing is owed, or the source is silent.",
    )
    valid_from = models.DateField("valid from", help_text="The first day on which the source shows it.")
    valid_to = models.DateField(
        "valid to", null=True, blank=True, help_text="The first day it no longer holds; empty: still."
    )
    negotiated = models.BooleanField(
        default=False,
        help_text="Agreed with the seller: stands in place of the list price, which refreshes go on reading.",
    )
    computed_from = models.JSONField(
        default=dict, blank=True, editable=False, help_text="Of a node of one's own: the owner's figures."
    )

    class Meta:
        ordering = ["instance_type", "region", "purchase", "-valid_from"]
        constraints = [
            *positive("usd_per_hour"),
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_to__gt=F("valid_from")),
                name="price_ends_after_it_begins",
                violation_error_message="A price must end after the day it begins.",
            ),
            models.CheckConstraint(condition=Q(purchase__in=list(PURCHASES)), name="price_purchase_known"),
            models.UniqueConstraint(
                fields=[
                    "instance_type",
                    "region",
                    "purchase",
                    "payment_option",
                    "negotiated",
                    "valid_from",
                ],
                condition=Q(withdrawn=False),
                name="price_once_a_day",
                violation_error_message="There is such a price from this day on already; withdraw it first.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instance_type_id} {self.region} {self.get_purchase_display()} ${self.usd_per_hour}"


class Availability(CatalogRow):
    """A region where an instance type is offered."""

    FACTS = ("zones",)

    instance_type = models.ForeignKey(
        InstanceType, on_delete=models.PROTECT, related_name="offers", to_field="slug"
    )
    region = models.CharField(max_length=40, validators=[SLUG])
    zones = models.CharField(
        max_length=500,
        blank=True,
        help_text="Names with spaces between; empty where only the region is known.",
    )

    class Meta:
        ordering = ["instance_type", "region"]
        verbose_name_plural = "availability"
        constraints = [models.UniqueConstraint(fields=["instance_type", "region"], name="availability_once")]

    def __str__(self) -> str:
        return f"{self.instance_type_id} in {self.region}"


class MigProfile(CatalogRow):
    """A kind of GPU instance that can be made on one accelerator."""

    FACTS = (
        "profile_id",
        "compute_slices",
        "memory_slices",
        "memory_mib",
        "max_instances",
        "placement_size",
        "placement_starts",
        "min_driver",
        "copy_engines",
        "decoders",
        "encoders",
        "jpeg_engines",
        "ofa_engines",
    )

    accelerator = models.ForeignKey(
        Accelerator, on_delete=models.PROTECT, related_name="mig_profiles", to_field="slug"
    )
    profile = models.CharField(max_length=40)
    profile_id = models.PositiveSmallIntegerField("profile id")
    compute_slices = models.PositiveSmallIntegerField()
    memory_slices = models.PositiveSmallIntegerField()
    memory_mib = models.PositiveIntegerField("memory (MiB)")
    max_instances = models.PositiveSmallIntegerField("most per GPU")
    placement_size = models.PositiveSmallIntegerField("placement size (slices)")
    placement_starts = models.CharField(
        max_length=60, validators=[NUMBERS], help_text="Slices it may start at, as 0 2 4."
    )
    min_driver = models.CharField("from driver", max_length=20, blank=True, help_text="Branch, as R470.")
    copy_engines = models.PositiveSmallIntegerField(null=True, blank=True)
    decoders = models.PositiveSmallIntegerField(null=True, blank=True)
    encoders = models.PositiveSmallIntegerField(null=True, blank=True)
    jpeg_engines = models.PositiveSmallIntegerField("JPEG engines", null=True, blank=True)
    ofa_engines = models.PositiveSmallIntegerField("optical-flow engines", null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        verbose_name = "MIG profile"
        constraints = [
            *positive("compute_slices", "memory_slices", "memory_mib", "max_instances", "placement_size"),
            models.UniqueConstraint(fields=["accelerator", "profile"], name="migprofile_once"),
            # A profile that was renamed leaves its old row behind, withdrawn.
            models.UniqueConstraint(
                fields=["accelerator", "profile_id"],
                condition=models.Q(withdrawn=False),
                name="migprofile_id_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.profile} on {self.accelerator_id}"

    def clean(self) -> None:
        starts = [int(start) for start in self.placement_starts.split() if start.isdigit()]
        if len(set(starts)) != len(starts) or starts != sorted(starts):
            raise ValidationError({"placement_starts": "Give each start once, the lowest first."})
        if len(starts) < (self.max_instances or 0):
            raise ValidationError(
                {"max_instances": f"It has {len(starts)} places to start, so that no more can exist."}
            )
        size = self.placement_size or 0
        if any(later - earlier < size for earlier, later in pairwise(starts)):
            raise ValidationError({"placement_starts": "Places overlap: they are to lie its size apart."})
        self._check_name_and_size()
        alike = MigProfile.objects.filter(
            accelerator_id=self.accelerator_id, profile_id=self.profile_id, withdrawn=False
        ).exclude(pk=self.pk)
        if not self.withdrawn and alike.exists():
            raise ValidationError(
                {"profile_id": f"A profile of this chip with this id already exists: {alike[0].profile}."}
            )
        if starts and self.accelerator_id:
            self._check_against_chip(starts)

    def _check_name_and_size(self) -> None:
        named = MIG_NAME.match(self.profile or "")
        if named is None:
            raise ValidationError({"profile": "Write it as the driver does, as 3g.20gb or 1g.5gb+me."})
        if self.compute_slices is not None and int(named[1]) != self.compute_slices:
            raise ValidationError(
                {"compute_slices": f"{self.profile} has {named[1]} by its name: correct one of the two."}
            )
        if self.memory_slices and self.placement_size and self.memory_slices != self.placement_size:
            raise ValidationError(
                {"placement_size": "It occupies its memory slices: give the same number in both."}
            )

    def _check_against_chip(self, starts: list[int]) -> None:
        """Against the accelerator and its other profiles: the largest of them says what the whole GPU has."""
        chip = Accelerator.objects.filter(slug=self.accelerator_id).first()
        if chip is None:
            return
        if not chip.mig_capable:
            raise ValidationError(
                {"accelerator": f"{chip.name} is not marked as one that MIG divides: mark it there first."}
            )
        if self.memory_mib and self.memory_mib > chip.memory_mib:
            raise ValidationError({"memory_mib": f"The whole {chip.name} has {chip.memory_mib:,} MiB."})
        others = MigProfile.objects.filter(accelerator=chip, withdrawn=False).exclude(pk=self.pk)
        placed = others.values_list("compute_slices", "placement_size", "placement_starts")
        if not placed:
            return
        compute = max(slices for slices, _, _ in placed)
        memory = max(size + max(map(int, listed.split())) for _, size, listed in placed)
        size, slices = self.placement_size or 0, self.compute_slices or 0
        if starts == [0] and size >= memory and slices >= compute:
            return  # it is the whole GPU, which may be larger than what was known of it
        remedy = "Add the profile of the whole GPU first, if it has more."
        if slices > compute:
            raise ValidationError(
                {"compute_slices": f"The largest profile of {chip.name} has {compute}. {remedy}"}
            )
        if starts[-1] + size > memory:
            raise ValidationError(
                {"placement_starts": f"{chip.name} has {memory} memory slices by its profiles. {remedy}"}
            )


class TransformerModel(CatalogRow):
    """A published model: the keys of its config that determine shapes, from which everything is counted."""

    FACTS = (
        "name",
        "family",
        "publisher",
        "form",
        "config",
        "parameters",
        "parameters_source",
        "max_context",
    )

    class Form(models.TextChoices):
        HF_CONFIG = "hf_config", "Hugging Face config.json"
        ARCHITECTURE = "architecture", "explicit architecture"

    slug = models.CharField(max_length=100, unique=True, validators=[SLUG])
    name = models.CharField(max_length=100)
    family = models.CharField(max_length=40)
    publisher = models.CharField(max_length=80)
    form = models.CharField("described by", max_length=20, choices=Form.choices, default=Form.HF_CONFIG)
    config = models.JSONField(help_text="The file's content, or the explicit form of the JSON contract.")
    parameters = models.PositiveBigIntegerField("published parameters", null=True, blank=True)
    parameters_source = models.CharField("who counted", max_length=500, blank=True)
    max_context = models.PositiveIntegerField("longest context (tokens)", null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        verbose_name = "model"
        constraints = [
            *positive("parameters", "max_context"),
            models.CheckConstraint(
                condition=Q(form__in=["hf_config", "architecture"]), name="model_form_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if not isinstance(self.config, dict):
            raise ValidationError({"config": "Paste the whole object, braces included."})
