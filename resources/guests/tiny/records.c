/* What a disk is told to keep, and when it has said that it does. */
#include "virtio.h"

enum { WORDS = SECTOR / 8, STRIDE = 1031 };

static uint64_t record[WORDS];

static uint64_t capacity_of(const struct virtio *disk) {
    uint64_t low = virtio_get(disk, REG_CONFIG);
    return low | (uint64_t)virtio_get(disk, REG_CONFIG + 4) << 32;
}

/* Writes records to the first disk without end: record i is a sector that says FIRST + i in all of
   its words, at sector (FIRST + i) * 1031 of as many as there are, round and round. Each is
   flushed before the guest says `record N` of it. */
void word_records(const char *arg) {
    static struct virtio disk;
    uint64_t number = parse_number(&arg, 10), capacity;
    blk_start(&disk);
    capacity = capacity_of(&disk);
    for (;; number++) {
        for (unsigned i = 0; i < WORDS; i++)
            record[i] = number;
        if (blk_request(&disk, BLK_OUT, number * STRIDE % capacity, record, SECTOR) != BLK_OK)
            fail("a record cannot be written");
        if (blk_request(&disk, BLK_FLUSH, 0, NULL, 0) != BLK_OK)
            fail("a record cannot be flushed");
        print("record %u\n", number);
    }
}

/* Says how large the first disk is, now and after each of N changes; then reads its last sector. */
void word_capacity(const char *arg) {
    static struct virtio disk;
    uint64_t changes = parse_number(&arg, 10);
    blk_start(&disk);
    print("capacity: %u sectors\n", capacity_of(&disk));
    for (uint32_t seen = 0; seen < changes; seen++) {
        virtio_wait_for_change(seen);
        print("capacity: %u sectors\n", capacity_of(&disk));
    }
    uint64_t last = capacity_of(&disk) - 1;
    print("capacity: last sector %u", (uint64_t)blk_request(&disk, BLK_IN, last, record, SECTOR));
    print(", next %u\n", (uint64_t)blk_request(&disk, BLK_IN, last + 1, record, SECTOR));
    virtio_reset(&disk);
}
