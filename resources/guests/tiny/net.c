/* virtio-net (VIRTIO 1.2 §5.1), as far as asking for an address takes it. */
#include "machine.h"
#include "virtio.h"

enum { NET_ID = 1, F_MAC = 1 << 5, RX = 0, TX = 1 };

/* virtio_net_hdr, and an Ethernet frame with an ARP packet for IPv4 (RFC 826). */
struct frame {
    uint8_t header[12];
    uint8_t to[6], from[6], ethertype[2];
    uint8_t hardware[2], protocol[2], lengths[2], operation[2];
    uint8_t sender_mac[6], sender_ip[4], target_mac[6], target_ip[4];
};

enum { RX_BUFFERS = 4, RX_SIZE = 2048 };

static uint8_t received[RX_BUFFERS][RX_SIZE];

/* Reads four decimal numbers with dots, and what follows them. */
static const char *parse_ip(const char *text, uint8_t ip[4]) {
    for (int i = 0; i < 4; i++) {
        ip[i] = parse_number(&text, 10);
        text++;
    }
    return text;
}

static void print_mac(const uint8_t mac[6]) {
    for (int i = 0; i < 6; i++) {
        print("%x", (uint64_t)mac[i] >> 4);
        print(i < 5 ? "%x:" : "%x\n", (uint64_t)mac[i] & 0xf);
    }
}

static void offer_buffer(struct virtio *net, unsigned number) {
    struct piece piece = {received[number], RX_SIZE, true};
    virtio_offer(&net->queue[RX], number, &piece, 1);
}

static bool answers(const struct frame *reply, const struct frame *request) {
    return same(reply->ethertype, "\x08\x06", 2) && same(reply->operation, "\0\2", 2) &&
           same(reply->sender_ip, request->target_ip, 4) && same(reply->to, request->from, 6);
}

/* arp:OWN:HOST asks on the first network interface who has the address HOST. */
void word_arp(const char *arg) {
    static struct virtio net;
    static struct frame request;
    virtio_find(&net, NET_ID);
    virtio_start(&net, F_MAC, 2);
    if (!(net.features & F_MAC))
        fail("the interface has no address");
    for (unsigned i = 0; i < 6; i++)
        request.from[i] = *mmio8(net.config + i);
    print("arp: I am ");
    print_mac(request.from);

    fill(request.to, 0xff, 6);
    copy(request.ethertype, "\x08\x06\0\1\x08\0\6\4\0\1", 10);
    copy(request.sender_mac, request.from, 6);
    parse_ip(parse_ip(arg, request.sender_ip), request.target_ip);

    for (unsigned i = 0; i < RX_BUFFERS; i++)
        offer_buffer(&net, i);
    virtio_notify(&net, RX);
    struct piece piece = {&request, sizeof request, false};
    virtio_offer(&net.queue[TX], 0, &piece, 1);
    virtio_notify(&net, TX);
    for (;;) {
        struct queue *queue = &net.queue[RX];
        uint32_t length = virtio_wait(&net, RX);
        unsigned number = queue->used.ring[(queue->seen - 1) % QUEUE_SIZE].id;
        const struct frame *reply = (const void *)received[number];
        if (length >= sizeof *reply && answers(reply, &request)) {
            print("arp: the host is ");
            print_mac(reply->sender_mac);
            break;
        }
        /* Something else that the host has to say, such as a router solicitation. */
        offer_buffer(&net, number);
        virtio_notify(&net, RX);
    }
    virtio_reset(&net);
}
