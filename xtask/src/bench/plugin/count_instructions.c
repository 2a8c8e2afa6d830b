/* A plugin for QEMU's translator (docs/devel/tcg-plugins.rst) that counts the guest's instructions.
 *
 *   gcc -shared -fPIC -DPLUGIN_API=N ... ; qemu-system-x86_64 -plugin FILE,counts=PATH
 *
 * PATH is an existing file of sixteen bytes that is mapped and kept up to date while the guest
 * runs: two 64-bit little-endian numbers,
 *   0  instructions executed
 *   8  further turns of repeated string instructions (rep movsb and the like), which QEMU executes
 *      as blocks of their own: a processor does many of them at once, so they are no instructions
 *
 * PLUGIN_API is the version of QEMU's interface: 1 before QEMU 9.0, 2 for 9.0, 3 from 9.1 on.
 * Only the declarations that are needed are repeated here, since distributions do not ship QEMU's
 * header everywhere; all of them but qemu_plugin_insn_data are the same in the three versions.
 *
 * One virtual processor is assumed: the counters are not atomic.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))
#define CALLBACK_TOUCHES_NO_REGISTERS 0
#define LONGEST_INSTRUCTION 15

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void on_translation(uint64_t plugin, struct qemu_plugin_tb *block);
typedef void on_execution(unsigned int processor, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t plugin, on_translation *callback);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, on_execution *callback,
                                          int flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *instruction);
#if PLUGIN_API < 3
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *instruction);
#else
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *instruction, void *to, size_t length);
#endif

PUBLIC int qemu_plugin_version = PLUGIN_API;

static volatile uint64_t *counters;

static void count_instructions(unsigned int processor, void *instructions)
{
    (void)processor;
    counters[0] += (uintptr_t)instructions;
}

static void count_turn(unsigned int processor, void *nothing)
{
    (void)processor;
    (void)nothing;
    counters[1]++;
}

/* F2 or F3 among the prefixes, then INS, OUTS, MOVS, CMPS, STOS, LODS or SCAS (Intel SDM vol. 2,
 * "REP/REPE/REPZ/REPNE/REPNZ"). */
static bool is_repeated(const uint8_t *bytes, size_t length)
{
    bool repeated = false;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = bytes[i];
        bool is_rex = byte >= 0x40 && byte <= 0x4f;
        if (byte == 0xf2 || byte == 0xf3) {
            repeated = true;
        } else if (!is_rex && byte != 0x66 && byte != 0x67) {
            bool is_string = (byte >= 0x6c && byte <= 0x6f) || (byte >= 0xa4 && byte <= 0xa7) ||
                             (byte >= 0xaa && byte <= 0xaf);
            return repeated && is_string && i + 1 == length;
        }
    }
    return false;
}

/* Whether the block is nothing but a repeated string instruction: all turns but the first run
 * there; the first one is part of the block that leads to it. */
static bool is_turn(const struct qemu_plugin_tb *block)
{
    if (qemu_plugin_tb_n_insns(block) != 1)
        return false;
    const struct qemu_plugin_insn *only = qemu_plugin_tb_get_insn(block, 0);
    size_t length = qemu_plugin_insn_size(only);
    if (length > LONGEST_INSTRUCTION)
        return false;
    uint8_t bytes[LONGEST_INSTRUCTION];
#if PLUGIN_API < 3
    memcpy(bytes, qemu_plugin_insn_data(only), length);
#else
    length = qemu_plugin_insn_data(only, bytes, length);
#endif
    return is_repeated(bytes, length);
}

static void translated(uint64_t plugin, struct qemu_plugin_tb *block)
{
    (void)plugin;
    if (is_turn(block))
        qemu_plugin_register_vcpu_tb_exec_cb(block, count_turn, CALLBACK_TOUCHES_NO_REGISTERS,
                                             NULL);
    else
        qemu_plugin_register_vcpu_tb_exec_cb(block, count_instructions,
                                             CALLBACK_TOUCHES_NO_REGISTERS,
                                             (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

PUBLIC int qemu_plugin_install(uint64_t plugin, const void *info, int argc, char **argv)
{
    static const char key[] = "counts=";
    const size_t size = 2 * sizeof *counters;
    (void)info;
    if (argc != 1 || strncmp(argv[0], key, strlen(key)) != 0) {
        fprintf(stderr, "count_instructions: counts=PATH is what it takes\n");
        return 1;
    }
    const char *path = argv[0] + strlen(key);
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0 || ftruncate(file, (off_t)size) != 0) {
        perror(path);
        return 1;
    }
    void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED) {
        perror(path);
        return 1;
    }
    counters = mapped;
    qemu_plugin_register_vcpu_tb_trans_cb(plugin, translated);
    return 0;
}
