/* The guest obeys the words of its command line, in order. README.md lists them. */
#include "tiny.h"

struct word {
    const char *name;
    void (*obey)(const char *argument); /* what follows the colon, or "" */
};

static void word_put(const char *text) {
    for (; *text && *text != ' '; text++)
        print("%c", *text == '_' ? ' ' : *text);
}

static void word_say(const char *text) {
    word_put(text);
    print("\n");
}

static const struct word words[] = {
    {"say", word_say},         {"end", word_end},           {"exit", word_exit},
    {"entry", word_entry},     {"cmdline", word_cmdline},   {"memmap", word_memmap},
    {"initrd", word_initrd},   {"acpi", word_acpi},         {"flood", word_flood},
    {"pflood", word_pflood},   {"outs", word_outs},         {"outsw", word_outsw},
    {"ins", word_ins},         {"echo", word_echo},         {"irqecho", word_irqecho},
    {"recv", word_recv},       {"smp", word_smp},           {"cpuid", word_cpuid},
    {"tick", word_tick},       {"blk", word_blk},           {"arp", word_arp},
    {"hostile", word_hostile}, {"probe", word_probe},       {"probemem", word_probemem},
    {"load", word_load},       {"records", word_records},   {"capacity", word_capacity},
    {"pci", word_pci},         {"pcimove", word_pcimove},   {"intx", word_intx},
    {"msix", word_msix},       {"put", word_put},           {"pvpanic", word_pvpanic},
    {"pvpanic-pci", word_pvpanic_pci},
};

/* The length of the name if `text` is that word, with or without an argument. */
static size_t match(const char *text, const char *name) {
    size_t length = 0;
    while (name[length])
        length++;
    if (!starts_with(text, name))
        return 0;
    char after = text[length];
    return after == ':' || after == ' ' || after == 0 ? length : 0;
}

static void obey(const char *text) {
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = match(text, words[i].name);
        if (length) {
            words[i].obey(text[length] == ':' ? text + length + 1 : "");
            return;
        }
    }
    /* Words with '=' are for other kernels. */
    for (const char *c = text; *c && *c != ' '; c++)
        if (*c == '=')
            return;
    fail("a word of the command line is unknown");
}

void tiny_main(enum entry entry, uintptr_t info) {
    boot_info_read(entry, info);
    const char *text = boot.cmdline;
    while (*text) {
        if (*text != ' ')
            obey(text);
        while (*text && *text != ' ')
            text++;
        while (*text == ' ')
            text++;
    }
    fail("the command line has no ending");
}
