/* A driver's half of virtio over MMIO and PCI (VIRTIO 1.2 §2.7, §4.1, §4.2), for one device at a
   time. */
#ifndef VIRTIO_H
#define VIRTIO_H

#include "tiny.h"

enum { QUEUE_SIZE = 8, QUEUES = 2 };

enum {
    STATUS_ACKNOWLEDGE = 1,
    STATUS_DRIVER = 2,
    STATUS_DRIVER_OK = 4,
    STATUS_FEATURES_OK = 8,
    STATUS_NEEDS_RESET = 64,

    DESC_NEXT = 1,
    DESC_WRITE = 2,
    DESC_INDIRECT = 4,

    /* Register offsets; on PCI they stand for the fields of the same meaning. */
    REG_MAGIC = 0x00,
    REG_VERSION = 0x04,
    REG_DEVICE_ID = 0x08,
    REG_DEVICE_FEATURES = 0x10,
    REG_DEVICE_FEATURES_SEL = 0x14,
    REG_DRIVER_FEATURES = 0x20,
    REG_DRIVER_FEATURES_SEL = 0x24,
    REG_QUEUE_SEL = 0x30,
    REG_QUEUE_SIZE_MAX = 0x34,
    REG_QUEUE_SIZE = 0x38,
    REG_QUEUE_READY = 0x44,
    REG_QUEUE_NOTIFY = 0x50,
    REG_INTERRUPT_STATUS = 0x60,
    REG_INTERRUPT_ACK = 0x64,
    REG_STATUS = 0x70,
    REG_QUEUE_DESC = 0x80,
    REG_QUEUE_DRIVER = 0x90,
    REG_QUEUE_DEVICE = 0xa0,
    REG_CONFIG = 0x100,
};

struct desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct avail {
    uint16_t flags, index, ring[QUEUE_SIZE], used_event;
};

struct used {
    uint16_t flags, index;
    struct {
        uint32_t id, length;
    } ring[QUEUE_SIZE];
    uint16_t avail_event;
};

struct queue {
    volatile struct desc desc[QUEUE_SIZE] __attribute__((aligned(16)));
    volatile struct avail avail;
    volatile struct used used __attribute__((aligned(4)));
    uint16_t seen; /* the used entries that were waited for */
};

struct virtio {
    uint64_t base;   /* of the registers, or the common configuration */
    uint64_t config; /* of the configuration space */
    bool on_pci, has_messages;
    uint8_t slot;
    uint64_t isr, notify; /* on PCI */
    uint32_t notify_stride;
    uint64_t table, pending; /* of its messages */
    uint64_t features; /* as agreed */
    uint32_t gsi;
    bool level;
    struct queue queue[QUEUES];
};

/* A piece of a request: what the device reads, or with `in` what it writes. */
struct piece {
    const void *at;
    uint32_t length;
    bool in;
};

/* The first device of this kind, or the guest fails. */
void virtio_find(struct virtio *device, uint32_t id);
/* Resets the device and sets it up with `wanted` of its features and so many queues. */
void virtio_start(struct virtio *device, uint64_t wanted, unsigned queues);
/* The same in parts: up to FEATURES_OK; a queue of the caller's own; DRIVER_OK. */
void virtio_begin(struct virtio *device, uint64_t wanted);
/* Returns the largest size that the device allows, if that is less, and then does nothing. */
unsigned virtio_set_queue(struct virtio *device, unsigned number, unsigned size,
                          volatile void *desc, volatile void *avail, volatile void *used);
void virtio_ready(struct virtio *device);
void virtio_reset(struct virtio *device);
/* Offers a request, of descriptors from `first` on, without telling the device. */
void virtio_offer(struct queue *queue, uint16_t first, const struct piece *pieces, unsigned count);
void virtio_notify(struct virtio *device, unsigned queue);
/* Sleeps until the next request is done; its number of bytes written. */
uint32_t virtio_wait(struct virtio *device, unsigned queue);
/* Sleeps until more interrupts for used buffers than that have come. */
void virtio_wait_for_interrupt(uint32_t more_than);
/* Sleeps until more changes of the configuration than that were told. */
void virtio_wait_for_change(uint32_t more_than);
/* How many interrupts for used buffers and for changes of the configuration came. */
extern volatile uint32_t virtio_used_interrupts, virtio_config_interrupts;

uint32_t virtio_get(const struct virtio *device, uint32_t offset);
void virtio_set(const struct virtio *device, uint32_t offset, uint32_t value);

/* virtio_pci.c */
enum {
    /* Where messages arrive: of used buffers, and of changes of the configuration. */
    USED_VECTOR = 0x25,
    CHANGE_VECTOR = 0x26,
    USED_ENTRY = 1,
    CHANGE_ENTRY = 0,
};
extern bool virtio_by_pin; /* interrupts come by the pin, not as messages */
bool virtio_pci_find(struct virtio *device, uint32_t id);
uint32_t virtio_pci_get(const struct virtio *device, uint32_t offset);
void virtio_pci_set(const struct virtio *device, uint32_t offset, uint32_t value);
/* Has the function send messages, `used` and `changed` being called when they come. */
void virtio_pci_use_messages(struct virtio *device, void (*used)(void), void (*changed)(void));
/* Has queue `number`, which is selected, send the message of used buffers. */
void virtio_pci_connect_queue(const struct virtio *device, unsigned number);

/* Block requests, for the words `blk` and `hostile`. */
enum { BLK_IN = 0, BLK_OUT = 1, BLK_FLUSH = 4, BLK_GET_ID = 8, SECTOR = 512 };
enum { BLK_OK = 0, BLK_IOERR = 1, BLK_UNSUPPORTED = 2 };

/* Finds the first disk and sets it up. */
void blk_start(struct virtio *disk);
/* Carries out one request; the status that the device gives. */
uint8_t blk_request(struct virtio *disk, uint32_t type, uint64_t sector, void *data, uint32_t length);
/* Offers one request in the descriptors from `first` on; its status byte will be at `status`. */
void blk_offer(struct virtio *disk, uint16_t first, uint32_t type, uint64_t sector, void *data,
               uint32_t length, volatile uint8_t *status);

#endif
