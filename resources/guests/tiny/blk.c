/* virtio-blk (VIRTIO 1.2 §5.2). */
#include "machine.h"
#include "virtio.h"

enum { BLK_ID = 2, F_RO = 1 << 5, F_FLUSH = 1 << 9 };

struct header {
    uint32_t type, reserved;
    uint64_t sector;
};

void blk_start(struct virtio *disk) {
    if (!disk->base)
        virtio_find(disk, BLK_ID);
    virtio_start(disk, F_RO | F_FLUSH, 1);
}

void blk_offer(struct virtio *disk, uint16_t first, uint32_t type, uint64_t sector, void *data,
               uint32_t length, volatile uint8_t *status) {
    static struct header headers[QUEUE_SIZE];
    headers[first] = (struct header){type, 0, sector};
    struct piece pieces[3] = {{&headers[first], sizeof *headers, false}};
    unsigned count = 1;
    if (length)
        pieces[count++] = (struct piece){data, length, type != BLK_OUT};
    pieces[count++] = (struct piece){(void *)status, 1, true};
    *status = 0xee;
    virtio_offer(&disk->queue[0], first, pieces, count);
}

uint8_t blk_request(struct virtio *disk, uint32_t type, uint64_t sector, void *data,
                    uint32_t length) {
    static volatile uint8_t status;
    uint32_t before = virtio_used_interrupts;
    blk_offer(disk, 0, type, sector, data, length, &status);
    virtio_notify(disk, 0);
    uint32_t written = virtio_wait(disk, 0);
    virtio_wait_for_interrupt(before);
    uint32_t expected = 1 + (type == BLK_OUT ? 0 : length);
    if (status == BLK_OK && written != expected)
        fail("the used length is wrong");
    return status;
}

static uint8_t sector[SECTOR + 1];

/* Reads sector 0, writes sector 1, reads it back, flushes, asks for the id and for a sector
   past the end; says what each gives. */
void word_blk(const char *arg) {
    static struct virtio disk;
    static char id[21];
    uint64_t capacity;
    (void)arg;
    blk_start(&disk);
    capacity = virtio_get(&disk, REG_CONFIG);
    capacity |= (uint64_t)virtio_get(&disk, REG_CONFIG + 4) << 32;
    print("blk: %u sectors%s\n", capacity, disk.features & F_RO ? ", read-only" : "");
    print("blk: id status %u", (uint64_t)blk_request(&disk, BLK_GET_ID, 0, id, 20));
    print(" <%s>\n", id);
    print("blk: read status %u", (uint64_t)blk_request(&disk, BLK_IN, 0, sector, SECTOR));
    print(" <%s>\n", sector);
    fill(sector, '.', SECTOR);
    copy(sector, "written by the tiny guest", 25);
    print("blk: write status %u\n", (uint64_t)blk_request(&disk, BLK_OUT, 1, sector, SECTOR));
    fill(sector, 0, SECTOR);
    print("blk: read status %u", (uint64_t)blk_request(&disk, BLK_IN, 1, sector, SECTOR));
    sector[25] = 0;
    print(" <%s>\n", sector);
    print("blk: flush status %u\n", (uint64_t)blk_request(&disk, BLK_FLUSH, 0, NULL, 0));
    print("blk: status past the end %u\n",
          (uint64_t)blk_request(&disk, BLK_IN, capacity, sector, SECTOR));
    print("blk: status of nonsense %u\n",
          (uint64_t)blk_request(&disk, 0x1234, 0, sector, SECTOR));
    print("blk: interrupts %u\n", (uint64_t)virtio_used_interrupts);
    virtio_reset(&disk);
}
