/* The words that use the serial port in ways of their own. */
#include "machine.h"
#include "tiny.h"

enum {
    IER = SERIAL + 1,
    IIR = SERIAL + 2,
    FCR = SERIAL + 2,
    MCR = SERIAL + 4,
    LSR = SERIAL + 5,
    SCRATCH = SERIAL + 7,

    IER_RDI = 1,
    IER_THRI = 2,
    LSR_DATA = 1,
    LSR_THRE = 0x20,

    VECTOR = 0x24,
    GSI = 4,
};

/* The pattern of a flood: blocks of 1024 bytes, each of which starts with its number in eight
   hexadecimal digits; the rest is the same in all of them. */
enum { BLOCK = 1024 };

static uint8_t block[BLOCK];

static void make_block(uint64_t number) {
    static uint32_t state = 1;
    if (state == 1)
        for (unsigned i = 8; i < BLOCK; i++) {
            state = state * 1664525 + 1013904223;
            block[i] = state >> 24;
        }
    for (unsigned i = 0; i < 8; i++)
        block[i] = "0123456789abcdef"[number >> (28 - 4 * i) & 0xf];
}

/* flood:N writes N bytes and never looks whether the port can take them. */
void word_flood(const char *arg) {
    uint64_t left = parse_number(&arg, 10);
    for (uint64_t number = 0; left; number++) {
        make_block(number);
        uint64_t count = left < BLOCK ? left : BLOCK;
        left -= count;
        const uint8_t *from = block;
        __asm__ volatile("cld; rep outsb" : "+S"(from), "+c"(count) : "d"(SERIAL) : "memory");
    }
}

/* pflood:N writes the same as a driver that polls. */
void word_pflood(const char *arg) {
    uint64_t left = parse_number(&arg, 10);
    for (uint64_t number = 0; left; number++) {
        make_block(number);
        uint64_t count = left < BLOCK ? left : BLOCK;
        left -= count;
        for (const uint8_t *byte = block; byte < block + count; byte++) {
            while (!(inb(LSR) & LSR_THRE))
                ;
            outb(SERIAL, *byte);
        }
    }
}

static size_t length_of(const char *text) {
    size_t length = 0;
    while (text[length] && text[length] != ' ')
        length++;
    return length;
}

/* outs:TEXT writes with one string instruction. */
void word_outs(const char *arg) {
    size_t count = length_of(arg);
    __asm__ volatile("cld; rep outsb" : "+S"(arg), "+c"(count) : "d"(SERIAL) : "memory");
    print("\n");
}

/* outsw:TEXT writes words whose low bytes are the text: the port takes one byte of each. */
void word_outsw(const char *arg) {
    static uint16_t words[64];
    size_t count = length_of(arg);
    if (count > 64)
        fail("the text for outsw is too long");
    for (size_t i = 0; i < count; i++)
        words[i] = '#' << 8 | arg[i];
    uint16_t *from = words;
    __asm__ volatile("cld; rep outsw" : "+S"(from), "+c"(count) : "d"(SERIAL) : "memory");
    print("\n");
}

/* Reads a register four times with each size of string instruction, into a buffer that would
   show an element too many. */
void word_ins(const char *arg) {
    static uint8_t buffer[24];
    uint8_t *to = buffer;
    size_t count = 4;
    (void)arg;
    outb(SCRATCH, 0x5a);
    fill(buffer, '-', sizeof buffer);
    __asm__ volatile("cld; rep insb" : "+D"(to), "+c"(count) : "d"(SCRATCH) : "memory");
    if (!same(buffer, "\x5a\x5a\x5a\x5a--", 6))
        fail("insb reads wrong");
    /* Three and five ports before the window's end: one register and zeros an element. */
    to = buffer, count = 4;
    __asm__ volatile("cld; rep insw" : "+D"(to), "+c"(count) : "d"(LSR) : "memory");
    if (!same(buffer, "\x60\0\x60\0\x60\0\x60\0--", 10))
        fail("insw reads wrong");
    to = buffer, count = 4;
    __asm__ volatile("cld; rep insl" : "+D"(to), "+c"(count) : "d"(0x1f0) : "memory");
    if (!same(buffer, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff--", 18))
        fail("insl reads wrong");
    print("ins: right\n");
}

/* A `q` at the start of a line ends the input. */
static bool is_end(uint8_t byte) {
    static uint8_t before = '\n';
    bool end = before == '\n' && byte == 'q';
    before = byte == '\r' ? '\n' : byte;
    return end;
}

/* Sends back all that comes, by polling, up to and with the final `q`. */
void word_echo(const char *arg) {
    uint8_t byte;
    (void)arg;
    print("echo\n");
    do {
        while (!(inb(LSR) & LSR_DATA))
            ;
        byte = inb(SERIAL);
        outb(SERIAL, byte);
    } while (!is_end(byte));
    print("\n");
}

/* recv:N reads N bytes by polling and prints their hash. */
void word_recv(const char *arg) {
    uint32_t hash = 0x811c9dc5;
    uint64_t count = parse_number(&arg, 10);
    print("recv\n");
    for (uint64_t i = 0; i < count; i++) {
        while (!(inb(LSR) & LSR_DATA))
            ;
        hash = (hash ^ inb(SERIAL)) * 0x01000193;
    }
    print("recv: hash %x\n", (uint64_t)hash);
}

/* Bytes between the interrupt handler's two halves. The processor reads and writes them only
   with interrupts off. */
static uint8_t queue[4096];
static unsigned first, last;
static bool ended;

static void on_interrupt(void) {
    for (;;) {
        switch (inb(IIR) & 0x0f) {
        case 0x04: /* received data */
            while (inb(LSR) & LSR_DATA) {
                uint8_t byte = inb(SERIAL);
                queue[last++ % sizeof queue] = byte;
                ended |= is_end(byte);
            }
            outb(IER, IER_RDI | IER_THRI);
            break;
        case 0x02: /* transmitter empty: one byte each time */
            if (first != last)
                outb(SERIAL, queue[first++ % sizeof queue]);
            else
                outb(IER, IER_RDI);
            break;
        default: return;
        }
    }
}

/* As echo, but nothing except interrupts moves it on. */
void word_irqecho(const char *arg) {
    (void)arg;
    ioapic_route(GSI, false, VECTOR, on_interrupt);
    outb(FCR, 0x07);
    outb(MCR, 0x0b); /* OUT2 lets the interrupt through */
    outb(IER, IER_RDI);
    print("irqecho\n");
    while (!ended || first != last)
        wait_for_interrupt(VECTOR, interrupts[VECTOR]);
    outb(IER, 0);
    print("\nirqecho: interrupts came\n");
}
