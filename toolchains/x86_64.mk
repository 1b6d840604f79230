# 64-bit x86: mini PCs, servers, any distribution of any age, Alpine too.
# Debian and Ubuntu: gcc there, gcc-x86-64-linux-gnu and qemu-user-static elsewhere.
CROSS := x86_64-linux-gnu
TARGET_ARCH := amd64
TARGET_RUN := qemu-x86_64-static
include toolchains/include/musl.mk
