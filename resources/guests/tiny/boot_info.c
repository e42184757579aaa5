/* What each boot protocol tells, brought into one form; and the words that show it. */
#include "machine.h"
#include "tiny.h"

struct boot_info boot;

extern uint64_t pdpt[512];

static void add_range(uint64_t base, uint64_t size, uint32_t kind) {
    if (boot.ranges == MAX_RANGES)
        fail("the memory map has too many ranges");
    boot.map[boot.ranges++] = (struct range){base, size, kind};
}

static void add_module(uint64_t base, uint64_t size) {
    if (boot.modules == MAX_MODULES)
        fail("there are too many initrds");
    boot.module[boot.modules++] = (struct range){base, size, 0};
}

/* Xen, xen/include/public/arch-x86/hvm/start_info.h. */
struct pvh_info {
    uint32_t magic, version, flags, modules;
    uint64_t module_list, cmdline, rsdp, map;
    uint32_t map_entries, reserved;
};
struct pvh_module {
    uint64_t base, size, cmdline, reserved;
};
struct pvh_range {
    uint64_t base, size;
    uint32_t kind, reserved;
};

static void read_pvh(const struct pvh_info *info) {
    if (info->magic != 0x336ec578 || info->version < 1)
        fail("the PVH start information is not what it should be");
    boot.entry = "pvh";
    boot.cmdline = (const char *)info->cmdline;
    boot.rsdp = info->rsdp;
    const struct pvh_range *map = (const void *)info->map;
    for (uint32_t i = 0; i < info->map_entries; i++)
        add_range(map[i].base, map[i].size, map[i].kind);
    const struct pvh_module *module = (const void *)info->module_list;
    for (uint32_t i = 0; i < info->modules; i++)
        add_module(module[i].base, module[i].size);
}

/* Linux, Documentation/arch/x86/zero-page.rst. */
static void read_linux(const uint8_t *params) {
    uint32_t low, high;
    boot.entry = "linux64";
    copy(&low, params + 0x228, 4);  /* cmd_line_ptr */
    copy(&high, params + 0x0c8, 4); /* ext_cmd_line_ptr */
    boot.cmdline = (const char *)((uint64_t)high << 32 | low);
    copy(&boot.rsdp, params + 0x070, 8);
    for (unsigned i = 0; i < params[0x1e8]; i++) {
        struct range range;
        copy(&range, params + 0x2d0 + 20 * i, 20);
        add_range(range.base, range.size, range.kind);
    }
    uint32_t image, size;
    copy(&image, params + 0x218, 4); /* ramdisk_image */
    copy(&size, params + 0x21c, 4);  /* ramdisk_size */
    if (size)
        add_module(image, size);
}

/* Multiboot Specification 0.6.96 §3.3. */
static void read_multiboot(const uint32_t *info) {
    enum { CMDLINE = 1 << 2, MODULES = 1 << 3, MAP = 1 << 6 };
    if (~info[0] & (CMDLINE | MAP))
        fail("the Multiboot information lacks the command line or the memory map");
    boot.entry = "multiboot";
    boot.cmdline = (const char *)(uint64_t)info[4];
    const uint8_t *entry = (const void *)(uint64_t)info[12];
    const uint8_t *end = entry + info[11];
    while (entry < end) {
        uint32_t size;
        struct range range;
        copy(&size, entry, 4);
        copy(&range, entry + 4, 20);
        add_range(range.base, range.size, range.kind);
        entry += 4 + size;
    }
    const uint32_t *module = (const void *)(uint64_t)info[6];
    for (uint32_t i = 0; info[0] & MODULES && i < info[5]; i++)
        add_module(module[4 * i], module[4 * i + 1] - module[4 * i]);
    /* Nothing tells where the ACPI tables are: search as on a BIOS machine. */
    for (uint64_t at = 0xe0000; at < 0x100000 && !boot.rsdp; at += 16)
        if (same((const void *)at, "RSD PTR ", 8))
            boot.rsdp = at;
}

void boot_info_read(enum entry entry, uintptr_t info) {
    switch (entry) {
    case ENTRY_PVH: read_pvh((const void *)info); break;
    case ENTRY_LINUX64: read_linux((const void *)info); break;
    case ENTRY_MULTIBOOT: read_multiboot((const void *)info); break;
    }
}

void word_entry(const char *arg) {
    (void)arg;
    print("entry: %s\n", boot.entry);
}

void word_cmdline(const char *arg) {
    (void)arg;
    print("cmdline: <%s>\n", boot.cmdline);
}

/* Maps the GiB around `address` onto itself; below 4 GiB it always is. */
static void map_gib(uint64_t address) {
    static uint64_t directories[8][512] __attribute__((aligned(4096)));
    static unsigned used;
    uint64_t gib = address >> 30;
    if (gib >= 512 || pdpt[gib] & 1)
        return;
    if (used == 8)
        fail("too much memory to map");
    uint64_t *directory = directories[used++];
    for (uint64_t i = 0; i < 512; i++)
        directory[i] = (gib << 30 | i << 21) + 0x83;
    pdpt[gib] = (uint64_t)directory + 3;
}

/* Whether the last eight bytes of a range are memory. */
static bool ends_in_memory(const struct range *range) {
    uint64_t last = (range->base + range->size - 8) & ~7ull;
    map_gib(last);
    volatile uint64_t *word = (volatile uint64_t *)last;
    uint64_t before = *word;
    *word = before ^ last;
    bool kept = *word == (before ^ last);
    *word = before;
    return kept;
}

/* Lists the map and sums up its RAM, of which each range's end is tried. */
void word_memmap(const char *arg) {
    uint64_t ram = 0;
    (void)arg;
    for (unsigned i = 0; i < boot.ranges; i++) {
        const struct range *range = &boot.map[i];
        print("memmap: %x %x %u\n", range->base, range->size, (uint64_t)range->kind);
        if (range->kind != 1)
            continue;
        if (!ends_in_memory(range))
            fail("memory that the map promises is not there");
        ram += range->size;
    }
    print("ram: %u KiB\n", ram >> 10);
}

/* Length and 32-bit FNV-1a hash of each initrd. */
void word_initrd(const char *arg) {
    (void)arg;
    for (unsigned i = 0; i < boot.modules; i++) {
        const uint8_t *bytes = (const void *)boot.module[i].base;
        uint32_t hash = 0x811c9dc5;
        for (uint64_t at = 0; at < boot.module[i].size; at++)
            hash = (hash ^ bytes[at]) * 0x01000193;
        print("initrd: %u bytes, hash %x\n", boot.module[i].size, (uint64_t)hash);
    }
    print("initrds: %u\n", (uint64_t)boot.modules);
}
