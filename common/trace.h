/* trace: W3C Trace Context, level 1. First used by phase 2.
 *
 * A caller that traces sends `traceparent: 00-<trace id>-<its span>-<flags>`; we take part under
 * its trace id with a span of our own, or start a trace where there is none. Source:
 * https://www.w3.org/TR/trace-context/ sections 3.2 and 4. tracestate is not used. */
#ifndef FLASHDEAL_TRACE_H
#define FLASHDEAL_TRACE_H

#include <stdbool.h>

enum {
    TRACE_ID_SIZE = 33,   /* 32 hex digits and NUL */
    TRACE_SPAN_SIZE = 17, /* 16 hex digits and NUL */
    TRACE_PARENT_SIZE = 56,
};

struct trace {
    char trace_id[TRACE_ID_SIZE];
    char parent_id[TRACE_SPAN_SIZE]; /* the caller's span; "" if the trace starts here */
    char span_id[TRACE_SPAN_SIZE];   /* ours */
    bool sampled;                    /* the caller's wish; false if the trace starts here */
};

/* Fills *out from a traceparent field's value (NULL, or one that is not valid: a new trace). A
 * version that is not 00 is read as far as 00 goes, ff is not valid; upper-case hex and all-zero
 * ids are not valid. Safe from any thread; does not block; identifiers are random, not secret. */
void trace_continue(const char *traceparent, struct trace *out);

#endif
