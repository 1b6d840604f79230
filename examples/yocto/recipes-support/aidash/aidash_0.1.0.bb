SUMMARY = "Live dashboard on the LAN for an AI engine"
DESCRIPTION = "aidash shows tokens per second, latency, requests and the board in the browser of everybody on the network, \
and takes commands back. It is one program with its page inside."
SECTION = "net"

# aidash, civetweb, jsmn, qrcodegen, uPlot: MIT. zlib and md5.inl: Zlib. sha1.inl: public domain. aidash.c begins with all of them.
LICENSE = "MIT & Zlib & PD"
LIC_FILES_CHKSUM = "file://LICENSE;md5=56d8411d52f6579bb5f376e0b9bbfa56"

# The release's tarball, in a directory files/ beside this recipe. In its stead, in local.conf or a .bbappend: the address of
# your mirror, with SRC_URI[sha256sum] from the release's SHA256SUMS.
AIDASH_RELEASE ?= "file://aidash-${PV}-amalgamation.tar.gz"
SRC_URI = "${AIDASH_RELEASE};subdir=${BP};striplevel=1"

inherit systemd

# Limits and profiles, such as "-DAIDASH_CLIENTS=64": see docs/embed.md in the tarball.
AIDASH_SIZES ?= ""

# TLS needs mbedTLS 3.6 (meta-oe) with MBEDTLS_PLATFORM_MEMORY in its mbedtls_config.h.
PACKAGECONFIG ?= ""
PACKAGECONFIG[tls] = ",,mbedtls"
AIDASH_TLS = "${@bb.utils.contains('PACKAGECONFIG', 'tls', '-DAIDASH_TLS=1', '', d)}"
AIDASH_LIBS = "-lpthread ${@bb.utils.contains('PACKAGECONFIG', 'tls', '-lmbedtls -lmbedx509 -lmbedcrypto', '', d)}"

do_compile() {
    ${CC} ${CPPFLAGS} ${CFLAGS} ${AIDASH_TLS} ${AIDASH_SIZES} ${LDFLAGS} -o aidash aidash.c ${AIDASH_LIBS}
}

do_install() {
    install -d ${D}${bindir} ${D}${sysconfdir} ${D}${mandir}/man1
    install -m 0755 aidash ${D}${bindir}/aidash
    install -m 0644 aidash.conf ${D}${sysconfdir}/aidash.conf
    install -m 0644 aidash.1 ${D}${mandir}/man1/aidash.1
    if ${@bb.utils.contains('DISTRO_FEATURES', 'systemd', 'true', 'false', d)}; then
        install -d ${D}${systemd_system_unitdir}
        sed 's|/usr/local/bin/|${bindir}/|; s|/etc/aidash.conf|${sysconfdir}/aidash.conf|' aidash.service \
            > ${D}${systemd_system_unitdir}/aidash.service
        chmod 0644 ${D}${systemd_system_unitdir}/aidash.service
    fi
}

SYSTEMD_SERVICE:${PN} = "aidash.service"
CONFFILES:${PN} = "${sysconfdir}/aidash.conf"
