# ARMv6: the first Raspberry Pi, Pi Zero and Zero W. Debian's hard-float compiler and its libgcc are for ARMv7 and later,
# so the soft-float one (its libraries are ARMv5) compiles for this CPU and its floating point unit. That this calling
# convention is not the one of Raspberry Pi OS matters to no static program.
# Debian and Ubuntu: gcc-arm-linux-gnueabi; qemu-user-static runs it elsewhere.
CROSS := arm-linux-gnueabi
TARGET_ARCH := armel
TARGET_CFLAGS := -mcpu=arm1176jzf-s -mfpu=vfp -mfloat-abi=softfp
TARGET_RUN := qemu-arm-static -cpu arm1176
include toolchains/include/musl.mk
