# 64-bit Arm, static with musl: Raspberry Pi 3, 4, 5 and Zero 2 (64-bit systems), every Jetson, any aarch64 Linux.
# Debian: gcc-aarch64-linux-gnu; qemu-user-static to run it here. musl is unpacked below build/deps, not installed.
TARGET_ARCH := arm64
TARGET := aarch64-linux
include toolchains/include/musl.mk
