/* virtio over PCI (VIRTIO 1.2 §4.1). */
#include "machine.h"
#include "virtio.h"

enum {
    VENDOR = 0x1af4,
    DEVICE_FIRST = 0x1040,
    SLOTS = 32,
    REG_COMMAND = 4,
    REG_LINE = 0x3c,
    COMMAND_MEMORY_AND_MASTER = 6,

    CAP_VENDOR = 9,
    CAP_MSIX = 0x11,
    MSIX_ENABLE = 0x8000,
    ENTRY_SIZE = 16,
    ENTRY_CONTROL = 12,

    /* Kinds of capabilities (§4.1.4). */
    KIND_COMMON = 1,
    KIND_NOTIFY = 2,
    KIND_ISR = 3,
    KIND_DEVICE = 4,

    COMMON_CONFIG_VECTOR = 16,
    COMMON_QUEUE_SELECT = 22,
    COMMON_QUEUE_VECTOR = 26,
    COMMON_QUEUE_NOTIFY_OFF = 30,
};

bool virtio_by_pin;

/* The fields of the common configuration (§4.1.4.3) that stand for registers. */
static const struct field {
    uint16_t reg;
    uint8_t at, width;
} fields[] = {
    {REG_DEVICE_FEATURES, 4, 4},  {REG_DEVICE_FEATURES_SEL, 0, 4},
    {REG_DRIVER_FEATURES, 12, 4}, {REG_DRIVER_FEATURES_SEL, 8, 4},
    {REG_QUEUE_SEL, 22, 2},       {REG_QUEUE_SIZE_MAX, 24, 2},
    {REG_QUEUE_SIZE, 24, 2},      {REG_QUEUE_READY, 28, 2},
    {REG_STATUS, 20, 1},          {REG_QUEUE_DESC, 32, 4},
    {REG_QUEUE_DESC + 4, 36, 4},  {REG_QUEUE_DRIVER, 40, 4},
    {REG_QUEUE_DRIVER + 4, 44, 4}, {REG_QUEUE_DEVICE, 48, 4},
    {REG_QUEUE_DEVICE + 4, 52, 4},
};

static const struct field *field_of(uint32_t reg) {
    for (unsigned i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].reg == reg)
            return &fields[i];
    fail("PCI has no such virtio register");
}

uint32_t virtio_pci_get(const struct virtio *device, uint32_t reg) {
    if (reg >= REG_CONFIG)
        return *mmio32(device->config + reg - REG_CONFIG);
    if (reg == REG_INTERRUPT_STATUS)
        return *mmio8(device->isr);
    const struct field *field = field_of(reg);
    uint64_t at = device->base + field->at;
    return field->width == 1 ? *mmio8(at) : field->width == 2 ? *mmio16(at) : *mmio32(at);
}

void virtio_pci_set(const struct virtio *device, uint32_t reg, uint32_t value) {
    if (reg == REG_INTERRUPT_ACK)
        return; /* reading did that */
    if (reg == REG_QUEUE_NOTIFY) {
        *mmio16(device->notify + value * device->notify_stride) = value;
        return;
    }
    const struct field *field = field_of(reg);
    uint64_t at = device->base + field->at;
    if (field->width == 1)
        *mmio8(at) = value;
    else if (field->width == 2)
        *mmio16(at) = value;
    else
        *mmio32(at) = value;
}

/* Where a capability of a slot points: into which window, and how far. */
static uint64_t place(uint8_t slot, uint8_t capability) {
    return pci_window(slot, pci_read8(slot, capability + 4)) + pci_read(slot, capability + 8);
}

static void read_capabilities(struct virtio *device) {
    uint8_t slot = device->slot, at = 0;
    while ((at = pci_capability(slot, CAP_VENDOR, at)))
        switch (pci_read8(slot, at + 3)) {
        case KIND_COMMON:
            device->base = place(slot, at);
            break;
        case KIND_NOTIFY:
            device->notify = place(slot, at);
            device->notify_stride = pci_read(slot, at + 16);
            break;
        case KIND_ISR:
            device->isr = place(slot, at);
            break;
        case KIND_DEVICE:
            device->config = place(slot, at);
            break;
        }
    if (!device->base || !device->notify || !device->isr || !device->config)
        fail("a virtio function lacks a capability");
}

bool virtio_pci_find(struct virtio *device, uint32_t id) {
    if (!pci_is_there())
        return false;
    for (uint8_t slot = 0; slot < SLOTS; slot++) {
        if (pci_read(slot, 0) != ((DEVICE_FIRST + id) << 16 | VENDOR))
            continue;
        device->on_pci = true;
        device->slot = slot;
        device->gsi = pci_read(slot, REG_LINE) & 0xff;
        device->level = true;
        pci_write16(slot, REG_COMMAND, COMMAND_MEMORY_AND_MASTER);
        read_capabilities(device);
        return true;
    }
    fail("there is no such virtio device");
}

static void set_entry(const struct virtio *device, unsigned entry, uint8_t vector) {
    uint64_t at = device->table + entry * ENTRY_SIZE;
    *mmio32(at) = apic_message_address();
    *mmio32(at + 4) = 0;
    *mmio32(at + 8) = vector;
    *mmio32(at + ENTRY_CONTROL) = 0;
}

void virtio_pci_use_messages(struct virtio *device, void (*used)(void), void (*changed)(void)) {
    uint8_t at = pci_capability(device->slot, CAP_MSIX, 0);
    if (!at)
        fail("a virtio function has no MSI-X");
    uint32_t table = pci_read(device->slot, at + 4), pending = pci_read(device->slot, at + 8);
    device->table = pci_window(device->slot, table & 7) + (table & ~7u);
    device->pending = pci_window(device->slot, pending & 7) + (pending & ~7u);
    apic_handle(USED_VECTOR, used);
    apic_handle(CHANGE_VECTOR, changed);
    set_entry(device, USED_ENTRY, USED_VECTOR);
    set_entry(device, CHANGE_ENTRY, CHANGE_VECTOR);
    pci_write16(device->slot, at + 2, MSIX_ENABLE);
    *mmio16(device->base + COMMON_CONFIG_VECTOR) = CHANGE_ENTRY;
    if (*mmio16(device->base + COMMON_CONFIG_VECTOR) != CHANGE_ENTRY)
        fail("a message for changes is refused");
}

void virtio_pci_connect_queue(const struct virtio *device, unsigned number) {
    *mmio16(device->base + COMMON_QUEUE_SELECT) = number;
    *mmio16(device->base + COMMON_QUEUE_VECTOR) = USED_ENTRY;
    if (*mmio16(device->base + COMMON_QUEUE_VECTOR) != USED_ENTRY)
        fail("a message for a queue is refused");
    if (*mmio16(device->base + COMMON_QUEUE_NOTIFY_OFF) != number)
        fail("a queue is notified elsewhere");
}

/* From now on devices interrupt by their pins. */
void word_intx(const char *arg) {
    (void)arg;
    virtio_by_pin = true;
}
