/* What a driver must not do. After each the disk must serve a decent request. */
#include "machine.h"
#include "virtio.h"

static struct virtio disk;
static uint8_t sector[SECTOR];

static void good_request(const char *after) {
    uint8_t status = blk_request(&disk, BLK_IN, 0, sector, SECTOR);
    print("hostile: status %u after %s\n", (uint64_t)status, after);
}

/* Rewrites every register of the live queue. */
static void rewrite_live_queue(void) {
    static const uint16_t registers[] = {
        REG_QUEUE_SIZE,   REG_QUEUE_DESC,       REG_QUEUE_DESC + 4,   REG_QUEUE_DRIVER,
        REG_QUEUE_DRIVER + 4, REG_QUEUE_DEVICE, REG_QUEUE_DEVICE + 4,
    };
    virtio_set(&disk, REG_QUEUE_SEL, 0);
    for (unsigned i = 0; i < sizeof registers / sizeof *registers; i++) {
        virtio_set(&disk, registers[i], 0);
        virtio_set(&disk, registers[i], 0xfffffff0);
    }
    good_request("a rewritten queue");
}

/* Makes more requests available than the queue can hold. */
static void overrun_ring(void) {
    disk.queue[0].avail.index += 1000;
    virtio_notify(&disk, 0);
    while (!(virtio_get(&disk, REG_STATUS) & STATUS_NEEDS_RESET))
        __asm__ volatile("pause");
    print("hostile: the device needs a reset\n");
    blk_start(&disk);
    good_request("an overrun ring");
}

/* A chain that never ends. */
static void loop_chain(void) {
    struct piece piece = {sector, 16, false};
    virtio_offer(&disk.queue[0], 0, &piece, 1);
    disk.queue[0].desc[0].flags = DESC_NEXT;
    disk.queue[0].desc[0].next = 0;
    virtio_notify(&disk, 0);
    while (!(virtio_get(&disk, REG_STATUS) & STATUS_NEEDS_RESET))
        __asm__ volatile("pause");
    blk_start(&disk);
    good_request("a chain without an end");
}

/* Resets while requests are under way, and starts anew at once. */
static void reset_busy_device(void) {
    static volatile uint8_t status[2];
    static uint8_t data[2][16 * SECTOR];
    for (unsigned turn = 0; turn < 20; turn++) {
        for (unsigned i = 0; i < 2; i++)
            blk_offer(&disk, 3 * i, BLK_IN, 0, data[i], sizeof data[i], &status[i]);
        virtio_notify(&disk, 0);
        blk_start(&disk);
        /* After a reset the device must leave this memory alone. */
        fill(data, 0x77, sizeof data);
        good_request("a reset in mid-request");
        for (unsigned i = 0; i < sizeof data; i++)
            if (data[i / sizeof data[0]][i % sizeof data[0]] != 0x77)
                fail("the device writes after its reset");
    }
}

/* Reads every register in every size, at every alignment. */
static void read_all_widths(void) {
    uint64_t sum = 0;
    for (uint64_t at = disk.base; at < disk.base + 0x140; at++) {
        sum += *(volatile uint8_t *)at;
        sum += *(volatile uint16_t *)at;
        sum += *(volatile uint32_t *)at;
        sum += *(volatile uint64_t *)at;
    }
    barrier();
    good_request(sum ? "reads of all sizes" : "reads that gave nothing");
}

/* Requests whose sectors or addresses wrap or point nowhere. */
static void point_nowhere(void) {
    static const uint64_t sectors[] = {~0ull, 1ull << 63, ~0ull / SECTOR, (~0ull / SECTOR) + 1};
    for (unsigned i = 0; i < sizeof sectors / sizeof *sectors; i++)
        if (blk_request(&disk, BLK_IN, sectors[i], sector, SECTOR) != BLK_IOERR)
            fail("a sector that is not there is served");
    good_request("sectors that are not there");
    static volatile uint8_t status;
    blk_offer(&disk, 0, BLK_IN, 0, (void *)0xfffffffffffff000, SECTOR, &status);
    virtio_notify(&disk, 0);
    while (!(virtio_get(&disk, REG_STATUS) & STATUS_NEEDS_RESET) && status == 0xee)
        __asm__ volatile("pause");
    blk_start(&disk);
    good_request("an address that is not there");
}

static const struct abuse {
    const char *name;
    void (*commit)(void);
} abuses[] = {
    {"rewrite", rewrite_live_queue}, {"overrun", overrun_ring},   {"loop", loop_chain},
    {"reset", reset_busy_device},    {"widths", read_all_widths}, {"nowhere", point_nowhere},
};

void word_hostile(const char *arg) {
    blk_start(&disk);
    for (size_t i = 0; i < sizeof abuses / sizeof *abuses; i++)
        if (starts_with(arg, abuses[i].name)) {
            abuses[i].commit();
            virtio_reset(&disk);
            return;
        }
    fail("this abuse is unknown");
}
