/* MSI-X (PCI Local Bus 3.0 §6.8.2): masks, pending bits and new messages. */
#include "machine.h"
#include "virtio.h"

enum {
    CAP_MSIX = 0x11,
    ENABLE = 0x8000,
    FUNCTION_MASK = 0x4000,
    OTHER_VECTOR = 0x27,
};

static struct virtio disk;
static uint8_t sector[SECTOR];
static volatile uint8_t status;

static volatile uint32_t *entry(unsigned word) {
    return mmio32(disk.table + USED_ENTRY * 16 + word * 4);
}

static void set_control(uint16_t control) {
    pci_write16(disk.slot, pci_capability(disk.slot, CAP_MSIX, 0) + 2, control);
}

/* Makes a request whose message is held back, and looks that it is. */
static void hold(const char *by) {
    uint32_t before = virtio_used_interrupts;
    blk_offer(&disk, 0, BLK_IN, 0, sector, SECTOR, &status);
    virtio_notify(&disk, 0);
    while (!*mmio32(disk.pending))
        __asm__ volatile("sti; pause; cli");
    disk.queue[0].seen++;
    if (virtio_used_interrupts != before)
        fail("a masked message was sent");
    print("msix: %s holds back %x\n", by, (uint64_t)*mmio32(disk.pending));
}

/* The message that was held back comes, once. */
static void release(const char *by, uint32_t before) {
    virtio_wait_for_interrupt(before);
    if (*mmio32(disk.pending))
        fail("a message is sent and pending");
    print("msix: unmasked, %s sends %u\n", by, (uint64_t)(virtio_used_interrupts - before));
}

/* Masks, pending bits, another message and the way back to the pin, on the first disk. */
void word_msix(const char *arg) {
    (void)arg;
    blk_start(&disk);
    if (!disk.has_messages)
        fail("the disk has no messages");
    uint32_t before = virtio_used_interrupts;
    *entry(3) = 1;
    hold("the entry's mask");
    *entry(3) = 0;
    release("the entry", before);
    before = virtio_used_interrupts;
    set_control(ENABLE | FUNCTION_MASK);
    hold("the function's mask");
    set_control(ENABLE);
    release("the function", before);

    *entry(2) = OTHER_VECTOR;
    apic_handle(OTHER_VECTOR, NULL);
    uint32_t others = interrupts[OTHER_VECTOR];
    blk_offer(&disk, 0, BLK_IN, 0, sector, SECTOR, &status);
    virtio_notify(&disk, 0);
    wait_for_interrupt(OTHER_VECTOR, others);
    disk.queue[0].seen++;
    print("msix: another message arrives\n");
    virtio_reset(&disk);

    virtio_by_pin = true;
    set_control(0);
    blk_start(&disk);
    print("msix: by the pin, status %u\n",
          (uint64_t)blk_request(&disk, BLK_IN, 0, sector, SECTOR));
    virtio_reset(&disk);
}
