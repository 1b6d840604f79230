/* What avahi-browse prints, which anybody in the LAN can write parts of: what is taken is
 * a host that fits a name and a request, an address of another machine, a port. */
#include "../src/codec/announced.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ad_announced b;
    struct ad_address address;
    size_t len;

    if (size > AD_ANNOUNCED_LINE || !ad_announced_parse((const char *)data, size, &b)) {
        return 0;
    }
    len = strlen(b.host);
    if (len > AIDASH_NODE_MAX || len < 7 || strcmp(b.host + len - 6, ".local") != 0 ||
        strspn(b.host, "abcdefghijklmnopqrstuvwxyz0123456789-.") != len || b.port == 0 ||
        strlen(b.address) > AD_ANNOUNCED_ADDRESS_MAX ||
        !ad_address_of(b.address, b.port, &address) || !ad_announced_other(&address)) {
        __builtin_trap();
    }
    return 0;
}
