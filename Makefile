# FlashDeal. `make help` lists what there is; `make demo` and `make check` set up a bare machine.
#
# One file, not recursive. A phase is every .c of its directory (links included) and common/; a
# source's object lies in build/$(MODE)/ under the source's own path. MODE=release|asan|tsan.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

MODE ?= release
ifeq ($(origin CC),default)
CC := gcc
endif
B := build/$(MODE)
PHASES := $(sort $(patsubst phase%/,%,$(wildcard phase[0-8]/)))

# ------------------------------------------------------------------------------------- flags

WARN := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wwrite-strings -Wcast-qual -Wpointer-arith -Wformat=2 -Wvla -Wundef \
	-Wimplicit-fallthrough
STD := -std=c17 -D_POSIX_C_SOURCE=200809L
WERROR ?=
pkg = $(shell pkg-config $(1) $(2) 2>/dev/null)
PKG_CFLAGS := $(call pkg,--cflags,libpq libcjson)
# civetweb ships no .pc file in Debian 12.
LIBS_SERVER := $(call pkg,--libs,libpq libcjson) -lcivetweb -lcrypto -lpthread -lm

CFLAGS_release := -O2 -g -fPIE -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
CFLAGS_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS_asan := -fsanitize=address,undefined
CFLAGS_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS_tsan := -fsanitize=thread
ifeq ($(filter $(MODE),release asan tsan),)
$(error MODE is $(MODE); it must be release, asan or tsan)
endif

COMPILE = $(CC) $(STD) $(WARN) $(WERROR) $(CFLAGS_$(MODE)) -I. $(PKG_CFLAGS) $(CFLAGS) -MMD -MP
LINK = $(CC) $(LDFLAGS_$(MODE)) $(LDFLAGS)

# A change of compiler or flags rebuilds: the stamp's text is all of them.
FLAGS_STAMP := $(B)/.flags
FLAGS_TEXT := $(COMPILE) $(LINK) $(LIBS_SERVER)
ifneq ($(file <$(FLAGS_STAMP)),$(FLAGS_TEXT))
$(shell mkdir -p $(B))
$(file >$(FLAGS_STAMP),$(FLAGS_TEXT))
endif

# ----------------------------------------------------------------------------------- servers

LIB := $(B)/libflashdeal.a
LIB_OBJS := $(patsubst %.c,$(B)/%.o,$(wildcard common/*.c))

$(B)/%.o: %.c $(FLAGS_STAMP)
	@mkdir -p $(@D)
	$(COMPILE) -c $< -o $@

$(LIB): $(LIB_OBJS)
	@rm -f $@
	ar rcs $@ $^

define server_rule
$(B)/$(1)/server: $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/*.c)) $(LIB)
	$$(LINK) $$(filter %.o,$$^) $(LIB) $(LIBS_SERVER) -o $$@
endef
$(foreach n,$(PHASES),$(eval $(call server_rule,phase$(n))))

# ----------------------------------------------------------------------------------- harness

LOADGEN := $(B)/loadgen
AUDIT := $(B)/audit
# The response parser: llhttp where the distribution has it, else its predecessor http_parser.
ifneq ($(call pkg,--libs,libllhttp),)
PARSER_CFLAGS := -DHAVE_LLHTTP $(call pkg,--cflags,libllhttp)
PARSER_LIBS := $(call pkg,--libs,libllhttp)
else
PARSER_CFLAGS :=
PARSER_LIBS := -lhttp_parser
endif
$(B)/harness/loadgen/%.o: CFLAGS += $(PARSER_CFLAGS)

# The tools of the harness, never sanitized away from the servers' own mode: they measure.
$(LOADGEN): $(patsubst %.c,$(B)/%.o,$(wildcard harness/loadgen/*.c)) $(LIB)
	$(LINK) $(filter %.o,$^) $(LIB) $(call pkg,--libs,libcjson) $(PARSER_LIBS) -lcrypto -lpthread -lm -o $@

$(AUDIT): $(patsubst %.c,$(B)/%.o,$(wildcard harness/audit/*.c)) $(LIB)
	$(LINK) $(filter %.o,$^) $(LIB) $(call pkg,--libs,libpq libcjson) -lpthread -lm -o $@

# ------------------------------------------------------------------------------------- tests

# Check runs without fork: threads and sanitizers see one process (CK_FORK=no).
UNIT_TESTS := $(patsubst common/tests/%.c,$(B)/tests/%,$(wildcard common/tests/test_*.c))
HARNESS_TESTS := $(patsubst harness/tests/%.c,$(B)/tests/%,$(wildcard harness/tests/test_*.c))
TEST_LIBS = $(call pkg,--libs,check libcurl) $(LIBS_SERVER)

$(UNIT_TESTS): $(B)/tests/%: $(B)/common/tests/%.o $(LIB)
	@mkdir -p $(@D)
	$(LINK) $< $(LIB) $(TEST_LIBS) -o $@

$(HARNESS_TESTS): $(B)/tests/%: $(B)/harness/tests/%.o $(LIB)
	@mkdir -p $(@D)
	$(LINK) $< $(LIB) $(TEST_LIBS) -o $@

# Small servers that the tests measure against: harness/tests/stub.c, harness/tests/bare.c.
$(B)/tests/stub $(B)/tests/bare: $(B)/tests/%: $(B)/harness/tests/%.o $(LIB)
	@mkdir -p $(@D)
	$(LINK) $< $(LIB) $(LIBS_SERVER) -o $@

CONTRACT := $(B)/contract
$(CONTRACT): $(patsubst %.c,$(B)/%.o,$(wildcard harness/contract/*.c)) $(LIB)
	$(LINK) $(filter %.o,$^) $(LIB) $(TEST_LIBS) -o $@

-include $(shell find build/$(MODE) -name '*.d' 2>/dev/null)

.PHONY: help
help:
	@grep -hE '^#: ' $(MAKEFILE_LIST) | sed 's/^#: //'
