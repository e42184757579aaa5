#include "virtio.h"
#include "machine.h"

volatile uint32_t virtio_used_interrupts, virtio_config_interrupts;

/* Whose interrupts come. */
static struct virtio *active;

void virtio_set(const struct virtio *device, uint32_t offset, uint32_t value) {
    if (device->on_pci)
        virtio_pci_set(device, offset, value);
    else
        *mmio32(device->base + offset) = value;
}

uint32_t virtio_get(const struct virtio *device, uint32_t offset) {
    return device->on_pci ? virtio_pci_get(device, offset) : *mmio32(device->base + offset);
}

static void set_address(const struct virtio *device, uint32_t offset, volatile void *address) {
    virtio_set(device, offset, (uint64_t)address);
    virtio_set(device, offset + 4, (uint64_t)address >> 32);
}

static void on_interrupt(void) {
    uint32_t status = virtio_get(active, REG_INTERRUPT_STATUS);
    virtio_used_interrupts += status & 1;
    virtio_config_interrupts += status >> 1 & 1;
    virtio_set(active, REG_INTERRUPT_ACK, status);
}

static void on_used(void) {
    virtio_used_interrupts++;
}

static void on_change(void) {
    virtio_config_interrupts++;
}

void virtio_find(struct virtio *device, uint32_t id) {
    struct acpi_window window;
    if (virtio_pci_find(device, id))
        return;
    for (unsigned i = 0; acpi_window(i, &window); i++) {
        device->base = window.base;
        if (virtio_get(device, REG_MAGIC) != 0x74726976 || virtio_get(device, REG_VERSION) != 2)
            continue;
        if (virtio_get(device, REG_DEVICE_ID) != id)
            continue;
        device->config = window.base + REG_CONFIG;
        device->gsi = window.gsi;
        device->level = window.level;
        return;
    }
    fail("there is no such virtio device");
}

void virtio_reset(struct virtio *device) {
    virtio_set(device, REG_STATUS, 0);
    while (virtio_get(device, REG_STATUS))
        ;
}

/* Returns what of `wanted` the device has, VIRTIO_F_VERSION_1 in any case. */
static uint64_t negotiate(struct virtio *device, uint64_t wanted) {
    uint64_t features = 0;
    for (uint32_t half = 0; half < 2; half++) {
        virtio_set(device, REG_DEVICE_FEATURES_SEL, half);
        features |= (uint64_t)virtio_get(device, REG_DEVICE_FEATURES) << 32 * half;
    }
    features &= wanted | 1ull << 32;
    for (uint32_t half = 0; half < 2; half++) {
        virtio_set(device, REG_DRIVER_FEATURES_SEL, half);
        virtio_set(device, REG_DRIVER_FEATURES, features >> 32 * half);
    }
    return features;
}

unsigned virtio_set_queue(struct virtio *device, unsigned number, unsigned size,
                          volatile void *desc, volatile void *avail, volatile void *used) {
    virtio_set(device, REG_QUEUE_SEL, number);
    if (virtio_get(device, REG_QUEUE_READY))
        fail("a virtio queue is not ready to be set up");
    if (virtio_get(device, REG_QUEUE_SIZE_MAX) < size)
        return virtio_get(device, REG_QUEUE_SIZE_MAX);
    virtio_set(device, REG_QUEUE_SIZE, size);
    set_address(device, REG_QUEUE_DESC, desc);
    set_address(device, REG_QUEUE_DRIVER, avail);
    set_address(device, REG_QUEUE_DEVICE, used);
    if (device->has_messages)
        virtio_pci_connect_queue(device, number);
    virtio_set(device, REG_QUEUE_READY, 1);
    if (!virtio_get(device, REG_QUEUE_READY))
        fail("a virtio queue is refused");
    return size;
}

static void set_up_queue(struct virtio *device, unsigned number) {
    struct queue *queue = &device->queue[number];
    fill(queue, 0, sizeof *queue);
    if (virtio_set_queue(device, number, QUEUE_SIZE, queue->desc, &queue->avail, &queue->used) !=
        QUEUE_SIZE)
        fail("a virtio queue is too short");
}

/* §3.1.1 */
void virtio_begin(struct virtio *device, uint64_t wanted) {
    uint32_t status = STATUS_ACKNOWLEDGE | STATUS_DRIVER;
    virtio_reset(device);
    virtio_set(device, REG_STATUS, STATUS_ACKNOWLEDGE);
    virtio_set(device, REG_STATUS, status);
    device->features = negotiate(device, wanted);
    virtio_set(device, REG_STATUS, status |= STATUS_FEATURES_OK);
    if (virtio_get(device, REG_STATUS) != status)
        fail("virtio features are refused");
    active = device;
    device->has_messages = device->on_pci && !virtio_by_pin;
    if (device->has_messages)
        virtio_pci_use_messages(device, on_used, on_change);
    else
        ioapic_route(device->gsi, device->level, USED_VECTOR, on_interrupt);
}

void virtio_ready(struct virtio *device) {
    virtio_set(device, REG_STATUS, virtio_get(device, REG_STATUS) | STATUS_DRIVER_OK);
}

void virtio_start(struct virtio *device, uint64_t wanted, unsigned queues) {
    virtio_begin(device, wanted);
    for (unsigned i = 0; i < queues; i++)
        set_up_queue(device, i);
    virtio_ready(device);
}

void virtio_offer(struct queue *queue, uint16_t first, const struct piece *pieces, unsigned count) {
    for (uint16_t i = 0; i < count; i++) {
        volatile struct desc *desc = &queue->desc[first + i];
        desc->address = (uint64_t)pieces[i].at;
        desc->length = pieces[i].length;
        desc->flags = (pieces[i].in ? DESC_WRITE : 0) | (i + 1u < count ? DESC_NEXT : 0);
        desc->next = first + i + 1;
    }
    queue->avail.ring[queue->avail.index % QUEUE_SIZE] = first;
    barrier();
    queue->avail.index++;
    barrier();
}

void virtio_notify(struct virtio *device, unsigned queue) {
    virtio_set(device, REG_QUEUE_NOTIFY, queue);
}

uint32_t virtio_wait(struct virtio *device, unsigned number) {
    struct queue *queue = &device->queue[number];
    __asm__ volatile("cli");
    while (queue->used.index == queue->seen)
        wait_for_interrupt(USED_VECTOR, interrupts[USED_VECTOR]);
    return queue->used.ring[queue->seen++ % QUEUE_SIZE].length;
}

void virtio_wait_for_interrupt(uint32_t more_than) {
    __asm__ volatile("cli");
    while (virtio_used_interrupts == more_than)
        wait_for_interrupt(USED_VECTOR, interrupts[USED_VECTOR]);
}

void virtio_wait_for_change(uint32_t more_than) {
    uint8_t vector = active->has_messages ? CHANGE_VECTOR : USED_VECTOR;
    __asm__ volatile("cli");
    while (virtio_config_interrupts == more_than)
        wait_for_interrupt(vector, interrupts[vector]);
}
