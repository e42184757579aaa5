/* As many requests as the first disk can take, from ring 3: there the driver runs on the processor
   wherever KVM does, so that the time it takes is the device's. */
#include "machine.h"
#include "virtio.h"

enum { BLOCK = 4096, LARGEST = 256, DEPTHS = 64, PIECES = 3 };
enum { F_INDIRECT = 28, F_EVENT_IDX = 29 };

static struct {
    volatile struct desc desc[LARGEST] __attribute__((aligned(16)));
    volatile uint16_t avail[2 + LARGEST + 1];           /* flags, index, ring, used_event */
    volatile uint32_t used[1 + 2 * LARGEST + 1];        /* flags and index, ring, avail_event */
} ring __attribute__((aligned(4096)));

/* What each request in flight has of its own; only the header's sector ever changes. */
static uint8_t buffers[DEPTHS][BLOCK] __attribute__((aligned(BLOCK)));
static volatile struct desc tables[DEPTHS][PIECES] __attribute__((aligned(16)));
static volatile uint8_t statuses[DEPTHS];
static struct {
    uint32_t type, reserved;
    uint64_t sector;
} headers[DEPTHS];

static struct virtio disk;
static unsigned size, depth;
static uint64_t blocks, wanted, doorbells;
static uint8_t failed;
static uint16_t next;

static uint64_t random(void) {
    static uint64_t state = 88172645463325252;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static bool has(unsigned feature) {
    return disk.features >> feature & 1;
}

static void offer(unsigned slot) {
    headers[slot].sector = random() % blocks * (BLOCK / SECTOR);
    statuses[slot] = 0xee;
    ring.avail[2 + next++ % size] = has(F_INDIRECT) ? slot : slot * PIECES;
}

/* Shows what was offered; rings if the device asks to be told (VIRTIO 1.2 §2.7.10). */
static void publish(void) {
    uint16_t before = ring.avail[1], event = ring.used[1 + 2 * size];
    ring.avail[1] = next;
    barrier();
    bool ask = !(ring.used[0] & 1);
    if (has(F_EVENT_IDX)) {
        event = ring.used[1 + 2 * size];
        ask = (uint16_t)(next - event - 1) < (uint16_t)(next - before);
    }
    if (ask) {
        virtio_notify(&disk, 0);
        doorbells++;
    }
}

/* Runs in ring 3. */
static void drive(void) {
    uint64_t offered = 0, done = 0;
    uint16_t seen = 0;
    for (; offered < depth && offered < wanted; offered++)
        offer(offered);
    publish();
    while (done < wanted) {
        uint16_t now;
        while ((now = ring.used[0] >> 16) == seen)
            __asm__ volatile("pause");
        for (; seen != now; seen++, done++) {
            unsigned head = ring.used[1 + 2 * (seen % size)];
            unsigned slot = has(F_INDIRECT) ? head : head / PIECES;
            failed |= statuses[slot];
            if (offered < wanted) {
                offer(slot);
                offered++;
            }
        }
        if (next != ring.avail[1])
            publish();
    }
}

static void describe(unsigned slot, uint32_t type) {
    bool indirect = has(F_INDIRECT);
    unsigned first = indirect ? 0 : slot * PIECES;
    volatile struct desc *table = indirect ? tables[slot] : ring.desc + first;
    headers[slot].type = type;
    table[0] = (struct desc){(uint64_t)&headers[slot], sizeof *headers, DESC_NEXT, first + 1};
    table[1] = (struct desc){(uint64_t)buffers[slot], BLOCK,
                             DESC_NEXT | (type == BLK_IN ? DESC_WRITE : 0), first + 2};
    table[2] = (struct desc){(uint64_t)&statuses[slot], 1, DESC_WRITE, 0};
    if (indirect)
        ring.desc[slot] =
            (struct desc){(uint64_t)table, sizeof *tables, DESC_INDIRECT, 0};
}

static void start(uint32_t type) {
    virtio_find(&disk, 2);
    virtio_begin(&disk, 1 << F_INDIRECT | 1 << F_EVENT_IDX);
    fill(&ring, 0, sizeof ring);
    for (size = LARGEST; size;) {
        unsigned allowed = virtio_set_queue(&disk, 0, size, ring.desc, ring.avail, ring.used);
        if (allowed == size)
            break;
        size = allowed;
    }
    if (size < depth * (has(F_INDIRECT) ? 1 : PIECES))
        fail("the queue is too short for that depth");
    for (unsigned slot = 0; slot < depth; slot++)
        describe(slot, type);
    /* It polls, so no interrupts, or at least none before 65535 more requests. */
    ring.avail[0] = 1;
    ring.avail[2 + size] = 0xffff;
    next = 0;
    doorbells = 0;
    virtio_ready(&disk);
    blocks = virtio_get(&disk, REG_CONFIG) / (BLOCK / SECTOR);
    if (!blocks)
        fail("the disk is too small");
}

static uint64_t tsc_khz(const char *arg) {
    uint64_t khz = *arg == ':' ? (arg++, parse_number(&arg, 10)) : 0;
    if (!khz && cpuid(0x40000000, 0).eax >= 0x40000010)
        khz = cpuid(0x40000010, 0).eax;
    if (!khz)
        fail("the clock's rate is unknown");
    return khz;
}

/* load:read:DEPTH:REQUESTS, and load:write; then :KHZ of the time stamp counter where no leaf of
   the hypervisor's has it. */
void word_load(const char *arg) {
    bool write = starts_with(arg, "write:");
    if (!write && !starts_with(arg, "read:"))
        fail("a load reads or writes");
    arg += write ? 6 : 5;
    depth = parse_number(&arg, 10);
    if (*arg++ != ':' || !depth || depth > DEPTHS)
        fail("a load has a depth up to 64 and a number of requests");
    wanted = parse_number(&arg, 10);
    uint64_t khz = tsc_khz(arg);
    start(write ? BLK_OUT : BLK_IN);
    uint64_t before = read_tsc();
    ring3_call(drive);
    uint64_t microseconds = (read_tsc() - before) * 1000 / khz;
    virtio_reset(&disk);
    if (failed)
        fail("a request failed");
    print("load: %s, depth %u: %u requests in %u us, %u doorbells\n", write ? "write" : "read",
          (uint64_t)depth, wanted, microseconds, doorbells);
}
