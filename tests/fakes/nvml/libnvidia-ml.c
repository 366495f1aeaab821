/* A stand-in for NVIDIA's libnvidia-ml.so.1 with its real ABI, for tests on machines without a GPU.
 *
 * Symbols, argument lists and struct layouts are those of nvml.h as nvidia-ml-py 13 calls them.
 * Answers come from the text file named by FAKE_NVML_STATE, one "key=value" a line:
 *   gpu_count=2            host-wide values
 *   gpu.*.name=...         every GPU;  gpu.1.name=... one GPU, which wins
 * A key that is absent answers NVML_ERROR_NOT_SUPPORTED. Values with a meaning of their own:
 *   !15     return this NVML code          !hang   never return
 *   !segv   dereference a null pointer     !lost   this GPU answers 15 from now on
 * Text may hold \xNN escapes. "gpu.N.lost_after=K": GPU N falls off the bus after K calls.
 * "absent=SYMBOL" cannot be done at run time: compile with -DOLD_DRIVER to leave out newer symbols.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, SMALL = 7, LOST = 15, VERSION = 25 };
#define MAX_GPUS 64
#define MAX_LINES 8192
typedef unsigned int u32;
typedef unsigned long long u64;
typedef struct { int gpu, mig; } Device;   /* what nvmlDevice_t points to */
typedef struct { int gpu, gi; } Instance;  /* what nvmlGpuInstance_t points to */

static char *keys[MAX_LINES], *values[MAX_LINES];
static int lines, started, lost[MAX_GPUS], calls[MAX_GPUS];
static Device devices[MAX_GPUS], migs[MAX_GPUS][16];
static Instance instances[MAX_GPUS][32];

static const char *find(const char *key) {
    for (int i = lines - 1; i >= 0; i--) if (!strcmp(keys[i], key)) return values[i];
    return NULL;
}

static void load(void) {
    const char *path = getenv("FAKE_NVML_STATE");
    FILE *f = path ? fopen(path, "r") : NULL;
    char line[4096];
    lines = 0;
    while (f && lines < MAX_LINES && fgets(line, sizeof line, f)) {
        char *eq = strchr(line, '=');
        if (line[0] == '#' || !eq) continue;
        *eq = 0;
        eq[strcspn(eq + 1, "\n") + 1] = 0;
        keys[lines] = strdup(line);
        values[lines++] = strdup(eq + 1);
    }
    if (f) fclose(f);
}

/* Special values; plain ones return OK. */
static int act(const char *value, int gpu) {
    if (!value) return NOT_SUPPORTED;
    if (value[0] != '!') return OK;
    if (!strcmp(value, "!hang")) for (;;) pause();
    if (!strcmp(value, "!segv")) { volatile int *nowhere = NULL; *nowhere = 1; }
    if (!strcmp(value, "!lost")) { if (gpu >= 0) lost[gpu] = 1; return LOST; }
    return atoi(value + 1);
}

static int host_value(const char *key, const char **value) {
    if (!started) return UNINITIALIZED;
    *value = find(key);
    return act(*value, -1);
}

static int gpu_value(int gpu, const char *key, const char **value) {
    char full[160];
    if (!started) return UNINITIALIZED;
    if (gpu < 0 || gpu >= MAX_GPUS) return INVALID;
    if (lost[gpu]) return LOST;
    snprintf(full, sizeof full, "gpu.%d.lost_after", gpu);
    const char *limit = find(full);
    if (limit && ++calls[gpu] > atoi(limit)) { lost[gpu] = 1; return LOST; }
    snprintf(full, sizeof full, "gpu.%d.%s", gpu, key);
    *value = find(full);
    if (!*value) { snprintf(full, sizeof full, "gpu.*.%s", key); *value = find(full); }
    return act(*value, gpu);
}

static int text(const char *from, char *to, u32 room) {
    u32 n = 0;
    for (; *from; n++) {
        if (n + 1 >= room) return SMALL;
        if (from[0] == '\\' && from[1] == 'x') {
            char hex[3] = {from[2], from[3], 0};
            to[n] = (char)strtol(hex, NULL, 16);
            from += 4;
        } else to[n] = *from++;
    }
    to[n] = 0;
    return OK;
}

static int gpu_text(void *h, const char *key, char *to, u32 room) {
    const char *v; int r = h ? gpu_value(((Device *)h)->gpu, key, &v) : INVALID;
    return r ? r : text(v, to, room);
}
static int gpu_u32(void *h, const char *key, u32 *to) {
    const char *v; int r = h ? gpu_value(((Device *)h)->gpu, key, &v) : INVALID;
    if (!r) *to = (u32)strtoul(v, NULL, 0);
    return r;
}
static int gpu_u64(void *h, const char *key, u64 *to) {
    const char *v; int r = h ? gpu_value(((Device *)h)->gpu, key, &v) : INVALID;
    if (!r) *to = strtoull(v, NULL, 0);
    return r;
}
static int gpu_u64s(void *h, const char *key, u64 *to, int count) {
    const char *v; int r = h ? gpu_value(((Device *)h)->gpu, key, &v) : INVALID;
    char *end = NULL;
    for (int i = 0; !r && i < count; i++) { to[i] = strtoull(i ? end + 1 : v, &end, 0); if (*end != ',' && i + 1 < count) return INVALID; }
    return r;
}
static int gpu_pair(void *h, const char *key, u32 *a, u32 *b) {
    u64 two[2]; int r = gpu_u64s(h, key, two, 2);
    if (!r) { *a = (u32)two[0]; *b = (u32)two[1]; }
    return r;
}

/* ---- start and host ---- */
int nvmlInitWithFlags(u32 flags) {
    (void)flags;
    load();
    const char *v = find("init");
    int r = v ? act(v, -1) : OK;
    started = r == OK;
    return r;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) {
    const char *v = find("shutdown");
    int r = v ? act(v, -1) : OK;
    started = 0;
    return r;
}
static int text(const char *from, char *to, u32 room);
const char *nvmlErrorString(int code) {
    static char words[256];
    const char *v = find("error_string");
    if (!v || text(v, words, sizeof words)) return code == 999 ? "Unknown Error" : "error of the fake library";
    return words;
}
static int host_text(const char *key, char *to, u32 room) { const char *v; int r = host_value(key, &v); return r ? r : text(v, to, room); }
int nvmlSystemGetDriverVersion(char *to, u32 room) { return host_text("driver_version", to, room); }
int nvmlSystemGetNVMLVersion(char *to, u32 room) { return host_text("nvml_version", to, room); }
int nvmlSystemGetCudaDriverVersion_v2(int *to) { const char *v; int r = host_value("cuda_version", &v); if (!r) *to = atoi(v); return r; }
int nvmlSystemGetProcessName(u32 pid, char *to, u32 room) { char key[64]; snprintf(key, sizeof key, "process_name.%u", pid); int r = host_text(key, to, room); return r == NOT_SUPPORTED ? NOT_FOUND : r; }
int nvmlDeviceGetCount_v2(u32 *to) { const char *v; int r = host_value("gpu_count", &v); if (!r) *to = (u32)atoi(v); return r; }
int nvmlDeviceGetHandleByIndex_v2(u32 index, void **to) {
    const char *v; int r = gpu_value((int)index, "handle", &v);
    if (r && r != NOT_SUPPORTED) return r;
    devices[index] = (Device){(int)index, -1};
    *to = &devices[index];
    return OK;
}

/* ---- plain texts and numbers ---- */
#define TEXT(symbol, key) int symbol(void *h, char *to, u32 room) { return gpu_text(h, key, to, room); }
#define U32(symbol, key) int symbol(void *h, u32 *to) { return gpu_u32(h, key, to); }
TEXT(nvmlDeviceGetName, "name")
TEXT(nvmlDeviceGetSerial, "serial")
TEXT(nvmlDeviceGetBoardPartNumber, "board_part_number")
TEXT(nvmlDeviceGetVbiosVersion, "vbios_version")
TEXT(nvmlDeviceGetInforomImageVersion, "inforom_version")
U32(nvmlDeviceGetBoardId, "board_id")
U32(nvmlDeviceGetMultiGpuBoard, "multi_gpu_board")
U32(nvmlDeviceGetArchitecture, "architecture")
U32(nvmlDeviceGetCurrPcieLinkGeneration, "pcie_generation")
U32(nvmlDeviceGetMaxPcieLinkGeneration, "pcie_generation_max")
U32(nvmlDeviceGetCurrPcieLinkWidth, "pcie_width")
U32(nvmlDeviceGetMaxPcieLinkWidth, "pcie_width_max")
U32(nvmlDeviceGetPcieReplayCounter, "pcie_replay")
U32(nvmlDeviceGetPowerUsage, "power_usage")
U32(nvmlDeviceGetPowerManagementLimit, "power_limit")
U32(nvmlDeviceGetEnforcedPowerLimit, "power_enforced_limit")
U32(nvmlDeviceGetPowerManagementDefaultLimit, "power_default_limit")
U32(nvmlDeviceGetFanSpeed, "fan_speed")
U32(nvmlDeviceGetPerformanceState, "performance_state")
U32(nvmlDeviceGetPersistenceMode, "persistence_mode")
U32(nvmlDeviceGetComputeMode, "compute_mode")
U32(nvmlDeviceGetVirtualizationMode, "virtualization_mode")
U32(nvmlDeviceGetRetiredPagesPendingStatus, "retired_pending")
int nvmlDeviceGetNumaNodeId(void *h, int *to) { return gpu_u32(h, "numa_node", (u32 *)to); }
int nvmlDeviceGetTotalEnergyConsumption(void *h, u64 *to) { return gpu_u64(h, "energy", to); }
int nvmlDeviceGetCudaComputeCapability(void *h, int *major, int *minor) { return gpu_pair(h, "compute_capability", (u32 *)major, (u32 *)minor); }
int nvmlDeviceGetPowerManagementLimitConstraints(void *h, u32 *low, u32 *high) { return gpu_pair(h, "power_limits", low, high); }
int nvmlDeviceGetEncoderUtilization(void *h, u32 *use, u32 *period) { return gpu_pair(h, "encoder", use, period); }
int nvmlDeviceGetDecoderUtilization(void *h, u32 *use, u32 *period) { return gpu_pair(h, "decoder", use, period); }
int nvmlDeviceGetEccMode(void *h, u32 *now, u32 *next) { return gpu_pair(h, "ecc_mode", now, next); }
int nvmlDeviceGetMigMode(void *h, u32 *now, u32 *next) { return gpu_pair(h, "mig_mode", now, next); }
typedef struct { u32 gpu, memory; } Rates;
int nvmlDeviceGetUtilizationRates(void *h, Rates *to) { return gpu_pair(h, "utilization", &to->gpu, &to->memory); }
#ifndef OLD_DRIVER
int nvmlDeviceGetCurrentClocksEventReasons(void *h, u64 *to) { return gpu_u64(h, "throttle", to); }
#endif
int nvmlDeviceGetCurrentClocksThrottleReasons(void *h, u64 *to) { return gpu_u64(h, "throttle", to); }
static int numbered(void *h, const char *base, u32 n, u32 *to) { char key[64]; snprintf(key, sizeof key, "%s.%u", base, n); return gpu_u32(h, key, to); }
int nvmlDeviceGetClockInfo(void *h, u32 which, u32 *to) { return numbered(h, "clock", which, to); }
int nvmlDeviceGetMaxClockInfo(void *h, u32 which, u32 *to) { return numbered(h, "clock_max", which, to); }
int nvmlDeviceGetTemperature(void *h, u32 sensor, u32 *to) { return numbered(h, "temperature", sensor, to); }
int nvmlDeviceGetTemperatureThreshold(void *h, u32 which, u32 *to) { return numbered(h, "threshold", which, to); }
int nvmlDeviceGetNvLinkState(void *h, u32 link, u32 *to) { return numbered(h, "nvlink_state", link, to); }
int nvmlDeviceGetNvLinkRemoteDeviceType(void *h, u32 link, u32 *to) { return numbered(h, "nvlink_remote_type", link, to); }
int nvmlDeviceGetTotalEccErrors(void *h, u32 kind, u32 counter, u64 *to) { char key[64]; snprintf(key, sizeof key, "ecc.%u.%u", counter, kind); return gpu_u64(h, key, to); }

/* ---- memory ---- */
typedef struct { u64 total, free, used; } MemoryV1;
typedef struct { u32 version; u64 total, reserved, free, used; } MemoryV2;
static int mig_memory(Device *d, u64 four[4]);
/* memory=total,reserved,free,used */
int nvmlDeviceGetMemoryInfo(void *h, MemoryV1 *to) {
    u64 m[4];
    int r = h && ((Device *)h)->mig >= 0 ? mig_memory(h, m) : gpu_u64s(h, "memory", m, 4);
    if (!r) *to = (MemoryV1){m[0], m[2], m[3] + m[1]};
    return r;
}
#ifndef OLD_DRIVER
int nvmlDeviceGetMemoryInfo_v2(void *h, MemoryV2 *to) {
    u64 m[4]; const char *v;
    if (to->version != (sizeof(MemoryV2) | 2u << 24)) return VERSION;
    int r = gpu_value(((Device *)h)->gpu, "memory_v2", &v);
    if (r && r != NOT_SUPPORTED) return r;
    r = gpu_u64s(h, "memory", m, 4);
    if (!r) { to->total = m[0]; to->reserved = m[1]; to->free = m[2]; to->used = m[3]; }
    return r;
}
#endif

/* ---- PCI, links, topology, affinity ---- */
typedef struct { char legacy[16]; u32 domain, bus, device, pciDeviceId, pciSubSystemId; char busId[32]; } Pci;
static int pci(void *h, const char *key, Pci *to) {
    memset(to, 0, sizeof *to);
    int r = gpu_text(h, key, to->busId, sizeof to->busId);
    if (r) return r;
    sscanf(to->busId, "%x:%x:%x", &to->domain, &to->bus, &to->device);
    snprintf(to->legacy, sizeof to->legacy, "%.4x:%.2x:%.2x.0", to->domain & 0xffff, to->bus & 0xff, to->device & 0xff);
    gpu_u32(h, "pci_device_id", &to->pciDeviceId);
    gpu_u32(h, "pci_subsystem_id", &to->pciSubSystemId);
    return OK;
}
int nvmlDeviceGetPciInfo_v3(void *h, Pci *to) { return pci(h, "pci_bus_id", to); }
int nvmlDeviceGetNvLinkRemotePciInfo_v2(void *h, u32 link, Pci *to) { char key[64]; snprintf(key, sizeof key, "nvlink_remote.%u", link); return pci(h, key, to); }
int nvmlDeviceGetTopologyCommonAncestor(void *a, void *b, u32 *to) { char key[64]; snprintf(key, sizeof key, "topology.%d", ((Device *)b)->gpu); return gpu_u32(a, key, to); }
int nvmlDeviceGetCpuAffinity(void *h, u32 words, unsigned long *to) {
    u64 mask; int r = gpu_u64(h, "cpu_affinity", &mask);
    for (u32 i = 0; !r && i < words; i++) to[i] = i ? 0 : (unsigned long)mask;
    return r;
}
int nvmlDeviceGetRemappedRows(void *h, u32 *corrected, u32 *uncorrected, u32 *pending, u32 *failure) {
    u64 m[4]; int r = gpu_u64s(h, "remapped_rows", m, 4);
    if (!r) { *corrected = (u32)m[0]; *uncorrected = (u32)m[1]; *pending = (u32)m[2]; *failure = (u32)m[3]; }
    return r;
}
int nvmlDeviceGetRetiredPages(void *h, u32 cause, u32 *count, u64 *addresses) {
    u32 n; int r = numbered(h, "retired", cause, &n);
    if (r) return r;
    if (!addresses || *count < n) { *count = n; return n ? SMALL : OK; }
    for (u32 i = 0; i < n; i++) addresses[i] = 0x1000ull * (i + 1);
    *count = n;
    return OK;
}

/* ---- field values ---- */
typedef struct { u32 fieldId, scopeId; long long timestamp, latency; u32 valueType; int result; union { u32 ui; u64 ull; } value; } FieldValue;
int nvmlDeviceGetFieldValues(void *h, int count, FieldValue *to) {
    for (int i = 0; i < count; i++) {
        char key[64];
        snprintf(key, sizeof key, to[i].scopeId ? "field.%u.%u" : "field.%u", to[i].fieldId, to[i].scopeId);
        to[i].valueType = 1;
        to[i].result = gpu_u32(h, key, &to[i].value.ui);
    }
    return OK;
}

/* ---- processes: process.K=pid,bytes,gi,ci ---- */
typedef struct { u32 pid; u64 bytes; u32 gi, ci; } Process;
static int processes(void *h, const char *base, u32 *count, Process *to) {
    u32 n = 0;
    char key[64];
    for (;; n++) {
        u64 m[4];
        snprintf(key, sizeof key, "%s.%u", base, n);
        int r = gpu_u64s(h, key, m, 4);
        if (r == NOT_SUPPORTED) break;
        if (r) return r;
        if (to && n < *count) to[n] = (Process){(u32)m[0], m[1], (u32)m[2], (u32)m[3]};
    }
    int small = n && (!to || *count < n);
    *count = n;
    return small ? SMALL : OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *h, u32 *count, Process *to) { return processes(h, "process", count, to); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *h, u32 *count, Process *to) { return processes(h, "graphics", count, to); }

/* ---- MIG: mig.K=gi,profile,ci,start,size,slices,mebibytes,used_bytes  mig_uuid.K=...  (ci 99: none)
 *      mig_profile.N=id,slices,mebibytes  mig_profile_name.N=...  mig_admin=1 or !4 ---- */
static int mig_row(int gpu, int k, u64 m[8]) { char key[64]; Device d = {gpu, -1}; snprintf(key, sizeof key, "mig.%d", k); return gpu_u64s(&d, key, m, 8); }
static int mig_memory(Device *d, u64 four[4]) {
    u64 m[8]; int r = mig_row(d->gpu, d->mig, m);
    if (!r) { four[0] = m[6] << 20; four[1] = 0; four[2] = (m[6] << 20) - m[7]; four[3] = m[7]; }
    return r;
}
static int mig_admin(void *h) { const char *v; int r = gpu_value(((Device *)h)->gpu, "mig_admin", &v); return r == NOT_SUPPORTED ? OK : r; }
int nvmlDeviceGetMaxMigDeviceCount(void *h, u32 *to) { *to = 7; return h ? OK : INVALID; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *h, u32 index, void **to) {
    Device *d = h; u64 m[8];
    if (index >= 16) return INVALID;
    int r = mig_row(d->gpu, (int)index, m);
    if (r == NOT_SUPPORTED || (!r && m[2] == 99)) return NOT_FOUND;
    if (r) return r;
    migs[d->gpu][index] = (Device){d->gpu, (int)index};
    *to = &migs[d->gpu][index];
    return OK;
}
int nvmlDeviceGetGpuInstanceId(void *h, u32 *to) { u64 m[8]; Device *d = h; int r = d->mig < 0 ? INVALID : mig_row(d->gpu, d->mig, m); if (!r) *to = (u32)m[0]; return r; }
int nvmlDeviceGetComputeInstanceId(void *h, u32 *to) { u64 m[8]; Device *d = h; int r = d->mig < 0 ? INVALID : mig_row(d->gpu, d->mig, m); if (!r) *to = (u32)m[2]; return r; }
typedef struct { u32 multiprocessors, copy, decoders, encoders, jpegs, ofas, gi_slices, ci_slices; u64 mebibytes; } Attributes;
int nvmlDeviceGetAttributes_v2(void *h, Attributes *to) {
    u64 m[8]; Device *d = h; int r = d->mig < 0 ? INVALID : mig_row(d->gpu, d->mig, m);
    if (!r) { memset(to, 0, sizeof *to); to->gi_slices = to->ci_slices = (u32)m[5]; to->mebibytes = m[6]; }
    return r;
}
int nvmlDeviceGetUUID(void *h, char *to, u32 room) {
    Device *d = h; char key[64];
    if (d->mig < 0) return gpu_text(h, "uuid", to, room);
    snprintf(key, sizeof key, "mig_uuid.%d", d->mig);
    return gpu_text(h, key, to, room);
}
typedef struct { u32 id, p2p, slices, count, sms, copy, dec, enc, jpeg, ofa; u64 mebibytes; } ProfileV1;
typedef struct { u32 version, id, p2p, slices, count, sms, copy, dec, enc, jpeg, ofa; u64 mebibytes; char name[96]; } ProfileV2;
static int profile(void *h, u32 n, u64 m[3]) { char key[64]; snprintf(key, sizeof key, "mig_profile.%u", n); return gpu_u64s(h, key, m, 3); }
int nvmlDeviceGetGpuInstanceProfileInfo(void *h, u32 n, ProfileV1 *to) {
    u64 m[3]; int r = profile(h, n, m);
    if (!r) { memset(to, 0, sizeof *to); to->id = (u32)m[0]; to->slices = (u32)m[1]; to->mebibytes = m[2]; }
    return r;
}
#ifndef OLD_DRIVER
int nvmlDeviceGetGpuInstanceProfileInfoV(void *h, u32 n, ProfileV2 *to) {
    u64 m[3]; char key[64];
    if (to->version != (sizeof(ProfileV2) | 2u << 24)) return VERSION;
    int r = profile(h, n, m);
    if (r) return r;
    to->id = (u32)m[0]; to->slices = (u32)m[1]; to->mebibytes = m[2];
    snprintf(key, sizeof key, "mig_profile_name.%u", n);
    return gpu_text(h, key, to->name, sizeof to->name);
}
#endif
static void *instance(int gpu, int k) { instances[gpu][k] = (Instance){gpu, k}; return &instances[gpu][k]; }
int nvmlDeviceGetGpuInstances(void *h, u32 id, void **to, u32 *count) {
    Device *d = h; u64 m[8]; u32 n = 0; u64 seen = 0;
    int r = mig_admin(h);
    for (int k = 0; !r && k < 16 && !mig_row(d->gpu, k, m); k++)
        if (m[1] == id && !(seen >> m[0] & 1)) { seen |= 1ull << m[0]; if (n < *count) to[n++] = instance(d->gpu, k); }
    if (!r) *count = n;
    return r;
}
int nvmlDeviceGetGpuInstanceById(void *h, u32 id, void **to) {
    Device *d = h; u64 m[8];
    int r = mig_admin(h);
    for (int k = 0; !r && k < 16 && !mig_row(d->gpu, k, m); k++) if (m[0] == id) { *to = instance(d->gpu, k); return OK; }
    return r ? r : NOT_FOUND;
}
typedef struct { void *device; u32 id, profileId, start, size; } InstanceInfo;
int nvmlGpuInstanceGetInfo(void *g, InstanceInfo *to) {
    Instance *i = g; u64 m[8]; int r = mig_row(i->gpu, i->gi, m);
    if (!r) *to = (InstanceInfo){&devices[i->gpu], (u32)m[0], (u32)m[1], (u32)m[3], (u32)m[4]};
    return r;
}
