# FlashDeal. `make help` lists what there is; `make demo` and `make check` set up a bare machine.
#
# One file, not recursive. A phase is every .c of its directory (links included) and common/; a
# source's object lies in build/$(MODE)/ under the source's own path. MODE=release|asan|tsan.
# Another compiler has a directory of its own: CC=clang builds in build/$(MODE)-clang/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# -L: a link that points elsewhere is a change, also where its new target is old.
MAKEFLAGS += --no-builtin-rules -L
.SUFFIXES:
ifneq ($(word 2,$(CURDIR)),)
$(error The path of this checkout has a space in it, and make splits at spaces: move it)
endif

MODE ?= release
ifeq ($(origin CC),default)
CC := gcc
endif
B := build/$(MODE)$(if $(findstring clang,$(CC)),-clang)
PHASES := $(sort $(patsubst phase%/,%,$(wildcard phase[0-8]/)))

# One short line for each thing made; V=1 shows the commands.
V ?= 0
ifeq ($(V),0)
Q := @
note = @printf '  %-5s %s\n' '$(1)' '$(2)'
endif

# A checkout without symlinks has a link's text where a source should be.
BROKEN_LINKS := $(shell grep -lsxE '\.\./phase[0-8]/[A-Za-z0-9_.-]+' phase[0-8]/*.c phase[0-8]/*.h \
	phase[0-8]/*.sql)
ifneq ($(BROKEN_LINKS),)
$(error This checkout has no symbolic links ($(firstword $(BROKEN_LINKS)) is a plain file): clone it \
	again inside Linux or WSL, not on a Windows drive, with git config core.symlinks true)
endif

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

# So does a change of the list of sources: keep_list NAME OBJECTS keeps it in $(B)/NAME.list.
define keep_list
ifneq ($$(file <$(B)/$(1).list),$(2))
$$(shell mkdir -p $(dir $(B)/$(1)))
$$(file >$(B)/$(1).list,$(2))
endif
endef

# ----------------------------------------------------------------------------------- servers

LIB := $(B)/libflashdeal.a
LIB_OBJS := $(patsubst %.c,$(B)/%.o,$(wildcard common/*.c))

# Order-only: it compiles nothing anew, it says in one sentence what is not installed.
.PHONY: packages packages-test
packages:
	@harness/setup.sh tier1 run --check

packages-test:
	@harness/setup.sh tier1 test --check

$(patsubst %.c,$(B)/%.o,$(wildcard common/tests/*.c harness/tests/*.c harness/contract/*.c)): \
	| packages-test

$(B)/%.o: %.c $(FLAGS_STAMP) | packages
	@mkdir -p $(@D)
	$(call note,cc,$<)
	$(Q)$(COMPILE) -c $< -o $@

$(eval $(call keep_list,common,$(LIB_OBJS)))
$(LIB): $(LIB_OBJS) $(B)/common.list
	@rm -f $@
	$(call note,ar,$@)
	$(Q)ar rcs $@ $(filter %.o,$^)

define server_rule
$(call keep_list,$(1),$(patsubst %.c,$(B)/%.o,$(wildcard $(1)/*.c)))
$(B)/$(1)/server: $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/*.c)) $(LIB) $(B)/$(1).list
	$$(call note,link,$$@)
	$$(Q)$$(LINK) $$(filter %.o,$$^) $(LIB) $(LIBS_SERVER) -o $$@
endef
$(foreach n,$(PHASES),$(eval $(call server_rule,phase$(n))))

# A learner's copy, made by `make mine-N`: DIR=work/phase3 builds build/release/work/phase3/server.
ifdef DIR
OWN := $(patsubst $(CURDIR)/%,%,$(abspath $(DIR)))
ifneq ($(filter /%,$(OWN)),)
$(error DIR is $(DIR); it must be a directory inside this checkout, like work/phase3)
endif
ifeq ($(wildcard $(OWN)/*.c),)
$(error DIR is $(DIR), which has no .c file; `make mine-3` makes a copy of phase 3 in work/phase3)
endif
ifeq ($(filter $(OWN),$(addprefix phase,$(PHASES))),)
$(eval $(call server_rule,$(OWN)))
endif
endif

# ----------------------------------------------------------------------------------- harness

LOADGEN := $(B)/loadgen
AUDIT := $(B)/audit
REPORT := $(B)/report
# The response parser: llhttp where the distribution has it, else its predecessor http_parser.
ifneq ($(call pkg,--libs,libllhttp),)
PARSER_CFLAGS := -DHAVE_LLHTTP $(call pkg,--cflags,libllhttp)
PARSER_LIBS := $(call pkg,--libs,libllhttp)
else
PARSER_CFLAGS :=
PARSER_LIBS := -lhttp_parser
endif
$(B)/harness/loadgen/%.o: CFLAGS += $(PARSER_CFLAGS)

# To measure with, they are built in release; the tests build them in every mode.
$(LOADGEN): $(patsubst %.c,$(B)/%.o,$(wildcard harness/loadgen/*.c)) $(LIB)
	$(call note,link,$@)
	$(Q)$(LINK) $(filter %.o,$^) $(LIB) $(call pkg,--libs,libcjson) $(PARSER_LIBS) -lcrypto -lpthread -lm -o $@

$(AUDIT): $(patsubst %.c,$(B)/%.o,$(wildcard harness/audit/*.c)) $(LIB)
	$(call note,link,$@)
	$(Q)$(LINK) $(filter %.o,$^) $(LIB) $(call pkg,--libs,libpq libcjson) -lpthread -lm -o $@

$(REPORT): $(patsubst %.c,$(B)/%.o,$(wildcard harness/report/*.c)) $(LIB)
	$(call note,link,$@)
	$(Q)$(LINK) $(filter %.o,$^) $(LIB) $(call pkg,--libs,libcjson) -lcrypto -lm -o $@

# ------------------------------------------------------------------------------------- tests

# Check runs without fork: threads and sanitizers see one process (CK_FORK=no).
UNIT_TESTS := $(patsubst common/tests/%.c,$(B)/tests/%,$(wildcard common/tests/test_*.c))
HARNESS_TESTS := $(patsubst harness/tests/%.c,$(B)/tests/%,$(wildcard harness/tests/test_*.c))
TEST_LIBS = $(call pkg,--libs,check libcurl) $(LIBS_SERVER)

$(UNIT_TESTS): $(B)/tests/%: $(B)/common/tests/%.o $(LIB)
	@mkdir -p $(@D)
	$(call note,link,$@)
	$(Q)$(LINK) $< $(LIB) $(TEST_LIBS) -o $@

$(HARNESS_TESTS): $(B)/tests/%: $(B)/harness/tests/%.o $(LIB)
	@mkdir -p $(@D)
	$(call note,link,$@)
	$(Q)$(LINK) $(filter %.o,$^) $(LIB) $(TEST_LIBS) $(PARSER_LIBS) -o $@

# The tests of loadgen's parts are linked with them.
$(filter $(B)/tests/test_loadgen%,$(HARNESS_TESTS)): \
	$(patsubst %.c,$(B)/%.o,$(filter-out %/main.c,$(wildcard harness/loadgen/*.c)))
$(B)/harness/tests/test_loadgen%.o: CFLAGS += $(PARSER_CFLAGS)

# Those of a phase's leaves, with the leaves.
LEAF_TEST := $(B)/tests/test_
TICKETS := $(addprefix $(B)/phase4/,tickets.o tickets_publish.o)
$(LEAF_TEST)admission: $(B)/phase3/admission.o
$(addprefix $(LEAF_TEST),order_queue order_queue_threads): $(B)/phase4/order_queue_memory.o
$(LEAF_TEST)order_queue_sales: $(B)/phase6/order_queue_lanes.o
$(addprefix $(LEAF_TEST),tickets tickets_arrival tickets_threads): $(TICKETS)
$(LEAF_TEST)inventory: \
	$(addprefix $(B)/phase4/,inventory_pessimistic.o order.o order_rows.o)
$(LEAF_TEST)inventory_keys: \
	$(addprefix $(B)/phase5/,inventory_pessimistic.o order.o order_rows.o idempotency.o)
PHASE6_ROWS := $(addprefix $(B)/phase6/,order.o order_rows.o idempotency.o)
$(LEAF_TEST)inventory_optimistic: $(B)/phase6/inventory_optimistic.o $(PHASE6_ROWS)
$(LEAF_TEST)inventory_sharded: $(B)/phase6/inventory_sharded.o $(PHASE6_ROWS)
$(LEAF_TEST)order_batch: $(PHASE6_ROWS) \
	$(addprefix $(B)/phase6/,order_batch.o inventory_batched.o inventory_pessimistic.o)
$(LEAF_TEST)inventory_batched: $(PHASE6_ROWS) \
	$(addprefix $(B)/phase6/,inventory_batched.o inventory_pessimistic.o)
$(LEAF_TEST)sales: $(addprefix $(B)/phase4/,sales.o sales_cache.o)
$(LEAF_TEST)idempotency: $(B)/phase5/idempotency.o
$(LEAF_TEST)purge: $(B)/phase5/purge.o

# A benchmark: make bench-tickets.
$(B)/tests/bench_tickets: $(B)/harness/tests/bench_tickets.o $(TICKETS) $(LIB)
	@mkdir -p $(@D)
	$(call note,link,$@)
	$(Q)$(LINK) $(filter %.o,$^) $(LIB) $(LIBS_SERVER) -o $@

# Small servers that the tests use: harness/tests/stub.c, bare.c and commit_cut.c.
$(B)/tests/stub $(B)/tests/bare $(B)/tests/commit_cut: $(B)/tests/%: $(B)/harness/tests/%.o $(LIB)
	@mkdir -p $(@D)
	$(call note,link,$@)
	$(Q)$(LINK) $(filter %.o,$^) $(LIB) $(LIBS_SERVER) -o $@
$(B)/tests/stub: $(B)/harness/tests/stub_replies.o

CONTRACT := $(B)/contract
$(CONTRACT): $(patsubst %.c,$(B)/%.o,$(wildcard harness/contract/*.c)) $(LIB)
	$(call note,link,$@)
	$(Q)$(LINK) $(filter %.o,$^) $(LIB) $(TEST_LIBS) -o $@

-include $(shell find $(B) -name '*.d' 2>/dev/null)

# ----------------------------------------------------------------------------------- targets
# The lines that begin with "#: " are what `make help` prints, in this order.

.PHONY: help demo setup doctor all $(addprefix phase,$(PHASES)) server diffs failures matrix \
	check check-quick check-all mutants bench-tickets lint format clean tests tools print-phases print-cflags

#: First
#:   make demo               install what is missing, then the story in about seven minutes
#:   make check              install what is missing, then every kind of test: about 45 minutes
#:   make doctor             what is missing or wrong on this machine, and what to do
demo:
	@harness/setup.sh tier1 run
	@exec harness/demo.sh

doctor:
	@harness/doctor.sh

setup:
	@harness/setup.sh tier1 run

#:
#: Build (MODE=asan or tsan for the sanitizers, CC=clang; -j2 for both cores; V=1 shows commands)
#:   make setup              install what building and running need, and nothing else
#:   make phase1             build phase 1; scripts without a target take the phase built last
#:   make all                every phase and the harness's programs
#:   make server DIR=work/phase1   build a copy of your own
$(addprefix phase,$(PHASES)): phase%: $(B)/phase%/server
	@echo $* >build/last-phase

# Without this, make would take the directory's name for a target that is made already.
phase%:
	@echo "There is no phase $*: this checkout has $(addprefix phase,$(PHASES))." >&2; exit 1

tools: $(if $(wildcard harness/loadgen/*.c),$(LOADGEN)) $(if $(wildcard harness/audit/*.c),$(AUDIT)) \
	$(if $(wildcard harness/report/*.c),$(REPORT))

all: $(foreach n,$(PHASES),$(B)/phase$(n)/server) tools

ifdef DIR
server: $(B)/$(OWN)/server
	@echo "$<"
else
server:
	@echo "Which one? make server DIR=work/phase1 (make mine-1 makes that copy)" >&2; exit 64
endif

tests: $(UNIT_TESTS) $(HARNESS_TESTS) $(REPORT) $(if $(wildcard harness/contract/*.c),$(CONTRACT))

#:
#: Look (1 stands for any phase)
#:   make run-1              phase 1 in the foreground with a PostgreSQL of its own; PORT=8101 elsewhere
#:   make psql-1             the database of the phase that make run-1 runs
#:   make diff-1             what phase 1 changed in phase 0, in reading order
#:   make diffstat-1         the same in numbers
#:   make mine-1             a copy of your own, links resolved, in work/phase1
#:   make failures           the failure modes, and the script that shows each
#:   make matrix             every failure mode x every phase, measured (ONLY=overload, FAST=1)
run-%:
	@exec harness/run.sh $*

psql-%:
	@exec harness/psql.sh $*

diff-%:
	@harness/diff.sh show $*

diffstat-%:
	@harness/diff.sh stat $*

mine-%:
	@harness/mine.sh $*

failures:
	@harness/failures.sh

matrix:
	@harness/setup.sh tier1 run
	@exec harness/matrix.sh

#:
#: Test
#:   make check-quick        without sanitizers, linters and scenarios: a few minutes
#:   make check-phase1       phase 1 only: the contract in three modes, and its scenarios
#:   make check-all          everything long as well
#:   make mutants            a line taken out of a phase: is the failure there that it prevents?
#:   make lint               shellcheck, cppcheck, clang-tidy, gcc -fanalyzer
#:   make bench-tickets      a million of phase 4's tickets: their memory, and a lookup's time
check:
	@harness/check.sh all

check-quick:
	@harness/check.sh quick

check-all:
	@harness/check.sh long

check-phase%:
	@harness/check.sh phase $*

mutants:
	@harness/setup.sh tier1 test
	@exec harness/mutants.sh

bench-tickets: $(B)/tests/bench_tickets
	@$<

lint:
	@harness/setup.sh tier1 test
	@harness/lint.sh

#:
#: Keep in order
#:   make format             clang-format over every source
#:   make diffs              write phaseN/DIFF.md anew (make check says when they are stale)
#:   make clean              remove build/ (work/ is yours and stays)
format:
	@harness/lint.sh format --fix

diffs:
	@harness/diff.sh write

clean:
	rm -rf build

help:
	@sed -n 's/^#: \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

# For the scripts: the phases that this file knows; what a source is compiled with.
print-phases:
	@echo $(PHASES)

print-cflags:
	@echo '$(STD) $(WARN) -I. $(PKG_CFLAGS) $(PARSER_CFLAGS)'
