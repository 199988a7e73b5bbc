/* lanes: slots and lanes in rings, a table of lanes by key, one mutex, one condition variable.
 *
 * A slot is free, or in its lane's line, or among its lane's taken ones; those in line are in the
 * ring of ages as well, oldest first. A lane is free, or in its bucket's chain; then it is ready
 * (somebody may take of it now), parked (in the order of their time), or held: its items are all
 * taken, or it has all its takers. Putting and taking is O(1) for each item; parking walks past the
 * lanes parked for shorter, giving back past the items that are older.
 *
 * Places: a lane numbers its items from how many had been put into all lanes when it came to be. So
 * no number of a lane that has gone is as high as one of its successor's, and those in line are
 * taken for the last so many numbers, whoever has been given back.
 *
 * Waking: whatever makes a lane ready wakes one who sleeps, and who has taken wakes the next if
 * another lane is ready. So nobody sleeps while a lane is ready, but for whoever has been signalled
 * and is on his way. Of those who sleep one, the watch, sleeps no longer than until the first
 * parked lane is due; who stops being it, or parks one for shorter, wakes another, who will be.
 *
 * The interval between done items is a moving average over those gaps in which the line was never
 * empty: only then did the takers go as fast as they can. A gap that is longer already counts
 * before it ends, and so does the first, so that work that stands still shows.
 *
 * It does not know what an item is, or why one comes back. */
#include "common/lanes.h"

#include <assert.h>
#include <string.h>

#include "common/clock.h"
#include "common/lanes_private.h"

enum { INTERVAL_WEIGHT = 16 /* a gap counts for one in so many */ };

/* ---------------------------------------------------------------------- a lane and its state */

/* Counts what came in line, or left it. */
static void count_locked(struct lanes *lanes, struct lane *lane, int by)
{
    lanes->filled -= lane->length > 0;
    lane->length += by;
    lanes->length += by;
    lanes->filled += lane->length > 0;
    lanes->was_empty = lanes->was_empty || lanes->length == 0;
}

/* Makes a held lane ready, behind the others that are, if it can be: true. */
static bool make_ready_locked(struct lanes *lanes, struct lane *lane)
{
    bool is_ready =
        lane->state == LANE_HELD && lane->length > 0 && lane->takers < lanes->options.lane_takers;
    if (is_ready) {
        lane->state = LANE_READY;
        link_before(&lane->link, &lanes->ready);
    }
    return is_ready;
}

static void hold_locked(struct lanes *lanes, struct lane *lane)
{
    if (lane->state != LANE_HELD) {
        link_out(&lane->link);
        lanes->parked_count -= lane->state == LANE_PARKED;
        lane->state = LANE_HELD;
    }
}

static void park_locked(struct lanes *lanes, struct lane *lane, int64_t until_ns)
{
    if (lane->state == LANE_PARKED && lane->until_ns >= until_ns) {
        return;
    }
    hold_locked(lanes, lane);
    struct link *next = lanes->parked.next;
    while (next != &lanes->parked && lane_of(next)->until_ns <= until_ns) {
        next = next->next;
    }
    link_before(&lane->link, next);
    lane->state = LANE_PARKED;
    lane->until_ns = until_ns;
    lanes->parked_count++;
}

/* When the first parked lane is due. */
static int64_t due_locked(const struct lanes *lanes)
{
    return ring_is_empty(&lanes->parked) ? CLOCK_NEVER : lane_of(lanes->parked.next)->until_ns;
}

static void unpark_locked(struct lanes *lanes, int64_t now_ns)
{
    while (due_locked(lanes) <= now_ns) {
        struct lane *lane = lane_of(lanes->parked.next);
        hold_locked(lanes, lane);
        make_ready_locked(lanes, lane);
    }
}

/* --------------------------------------------------------------------------------- who sleeps */

/* Before a taker leaves: what he may have been woken for and others would sleep through. */
static void pass_on_locked(struct lanes *lanes)
{
    if (lanes->is_closed && lanes->length == 0) {
        pthread_cond_broadcast(&lanes->changed);
    } else if (!ring_is_empty(&lanes->ready) || due_locked(lanes) < lanes->watch_ns) {
        pthread_cond_signal(&lanes->changed);
    }
}

static void sleep_locked(struct lanes *lanes, int64_t deadline_ns)
{
    int64_t due_ns = due_locked(lanes);
    bool is_watch = due_ns < lanes->watch_ns;
    int64_t until_ns = deadline_ns < lanes->close_ns ? deadline_ns : lanes->close_ns;
    if (is_watch) {
        lanes->watch_ns = due_ns;
        until_ns = due_ns < until_ns ? due_ns : until_ns;
    }
    clock_cond_wait(&lanes->changed, &lanes->lock, until_ns);
    if (is_watch && lanes->watch_ns == due_ns) { /* else another is, for an earlier time */
        lanes->watch_ns = CLOCK_NEVER;
    }
}

/* Until a lane is ready. A deadline that passes together with a signal: the lanes are looked at
 * once more, so that no signal is spent on a thread that leaves with nothing. */
static enum status await_locked(struct lanes *lanes, int64_t deadline_ns)
{
    for (;;) {
        int64_t now_ns = clock_now_ns();
        unpark_locked(lanes, now_ns);
        if (lanes->is_closed && (lanes->length == 0 || now_ns >= lanes->close_ns)) {
            return ST_CLOSED;
        }
        if (!ring_is_empty(&lanes->ready)) {
            return ST_OK;
        }
        if (now_ns >= deadline_ns) {
            return ST_TIMEOUT;
        }
        sleep_locked(lanes, deadline_ns);
    }
}

/* ----------------------------------------------------------------------------------- the pace */

/* The average with a gap at whose end so many items were done. */
static int64_t average_ns(int64_t interval_ns, int64_t gap_ns, int count)
{
    int64_t each_ns = gap_ns / count;
    if (interval_ns == 0) {
        return each_ns;
    }
    return interval_ns + (each_ns - interval_ns) * count / (count + INTERVAL_WEIGHT - 1);
}

static void note_done_locked(struct lanes *lanes, int count)
{
    int64_t now_ns = clock_now_ns();
    if (!lanes->was_empty) {
        lanes->interval_ns = average_ns(lanes->interval_ns, now_ns - lanes->done_ns, count);
    }
    lanes->done_ns = now_ns;
    lanes->last_done = count;
    lanes->was_empty = lanes->length == 0;
}

/* The gap that has not ended counts from when the line was last known not to be empty, and as if as
 * many were done at its end as at that of the last one. */
static int64_t interval_locked(const struct lanes *lanes, int64_t now_ns)
{
    if (lanes->length == 0) {
        return lanes->interval_ns;
    }
    int64_t since_ns = lanes->done_ns;
    int64_t oldest_ns = aged_of(lanes->ages.next)->entered_ns;
    if (lanes->was_empty && oldest_ns > since_ns) {
        since_ns = oldest_ns;
    }
    int count = lanes->last_done > 0 ? lanes->last_done : 1;
    int64_t with_it_ns = average_ns(lanes->interval_ns, now_ns - since_ns, count);
    return with_it_ns > lanes->interval_ns ? with_it_ns : lanes->interval_ns;
}

/* -------------------------------------------------------------------------------- in and out */

static int64_t join_locked(struct lanes *lanes, struct lane *lane, const void *item)
{
    struct slot *slot = slot_of(lanes->free_slots.next);
    memcpy(slot->item, item, lanes->options.item_size);
    slot->entered_ns = clock_now_ns();
    link_move(&slot->link, &lane->line);
    link_before(&slot->age, &lanes->ages);
    count_locked(lanes, lane, 1);
    lanes->put++;
    return lane->next_place++;
}

enum status lanes_put(struct lanes *lanes, int64_t key, const void *item, int64_t *place)
{
    enum status status = ST_OK;
    pthread_mutex_lock(&lanes->lock);
    struct lane *lane = lanes_find_locked(lanes, key);
    if (lanes->is_closed) {
        status = ST_CLOSED;
    } else if (ring_is_empty(&lanes->free_slots)) {
        lanes->refused++;
        status = ST_BUSY;
    } else if (lane != NULL && lane->length + lane->taken >= lanes->options.lane_max) {
        lanes->refused++;
        lanes->lane_refused++;
        status = ST_BUSY;
    } else {
        lane = lane != NULL ? lane : lanes_open_lane_locked(lanes, key);
        *place = join_locked(lanes, lane, item);
        if (make_ready_locked(lanes, lane)) {
            pthread_cond_signal(&lanes->changed);
        }
    }
    pthread_mutex_unlock(&lanes->lock);
    return status;
}

static int take_locked(struct lanes *lanes, struct lane *lane, unsigned char *items, int max)
{
    int count = 0;
    for (; count < max && !ring_is_empty(&lane->line); count++) {
        struct slot *slot = slot_of(lane->line.next);
        memcpy(items + (size_t)count * lanes->options.item_size, slot->item,
               lanes->options.item_size);
        link_out(&slot->age);
        link_move(&slot->link, &lane->out);
    }
    lane->takers++;
    lane->taken += count;
    lanes->taken += count;
    count_locked(lanes, lane, -count);
    return count;
}

enum status lanes_take(struct lanes *lanes, int64_t deadline_ns, void *items, int max, int64_t *key,
                       int *count, int *tries)
{
    assert(max >= 1);
    *count = 0;
    pthread_mutex_lock(&lanes->lock);
    enum status status = await_locked(lanes, deadline_ns);
    if (status == ST_OK) {
        struct lane *lane = lane_of(lanes->ready.next);
        hold_locked(lanes, lane);
        *count = take_locked(lanes, lane, items, max);
        *key = lane->key;
        *tries = lane->tries;
        make_ready_locked(lanes, lane);
    }
    pass_on_locked(lanes);
    pthread_mutex_unlock(&lanes->lock);
    return status;
}

/* How many items of a take are done. */
static int count_done(const bool *is_done, int count)
{
    int done = 0;
    for (int i = 0; i < count; i++) {
        done += is_done == NULL || is_done[i];
    }
    return done;
}

/* In line again before `front`, and among the ages where it was, at `newer` or behind it. */
static void give_back_locked(struct lanes *lanes, struct slot *slot, const void *item,
                             struct link *front, struct link **newer)
{
    memcpy(slot->item, item, lanes->options.item_size);
    link_move(&slot->link, front);
    while (*newer != &lanes->ages && aged_of(*newer)->entered_ns <= slot->entered_ns) {
        *newer = (*newer)->next;
    }
    link_before(&slot->age, *newer);
}

/* The taker has left his lane: what is done is gone, what is not is in line, in front. The slots
 * are those that were his, or another taker's of the same lane. */
static void leave_locked(struct lanes *lanes, struct lane *lane, const unsigned char *items,
                         int count, const bool *is_done)
{
    struct link *front = lane->line.next, *newer = lanes->ages.next;
    int back = 0;
    assert(lane->takers >= 1 && count >= 1 && count <= lane->taken);
    for (int i = 0; i < count; i++) {
        struct slot *slot = slot_of(lane->out.next);
        if (is_done == NULL || is_done[i]) {
            link_move(&slot->link, &lanes->free_slots);
        } else {
            give_back_locked(lanes, slot, items + (size_t)i * lanes->options.item_size, front,
                             &newer);
            back++;
        }
    }
    count_locked(lanes, lane, back);
    lane->takers--;
    lane->taken -= count;
    lanes->taken -= count;
    lane->tries = back > 0 ? lane->tries + 1 : 0;
}

void lanes_finish(struct lanes *lanes, int64_t key, const void *items, int count,
                  const bool *is_done, int64_t until_ns)
{
    const int done = count_done(is_done, count);
    pthread_mutex_lock(&lanes->lock);
    struct lane *lane = lanes_find_locked(lanes, key);
    assert(lane != NULL);
    if (done > 0) {
        note_done_locked(lanes, done);
    }
    leave_locked(lanes, lane, items, count, is_done);
    if (done < count) {
        park_locked(lanes, lane, until_ns);
    }
    make_ready_locked(lanes, lane);
    if (lane->length + lane->taken == 0) {
        lanes_close_lane_locked(lanes, lane);
    }
    pass_on_locked(lanes);
    pthread_mutex_unlock(&lanes->lock);
}

/* --------------------------------------------------------------------------------- the whole */

int64_t lanes_position(struct lanes *lanes, int64_t key, int64_t place)
{
    int64_t before = 0;
    pthread_mutex_lock(&lanes->lock);
    const struct lane *lane = lanes_find_locked(lanes, key);
    if (lane != NULL && place < lane->next_place) {
        before = place - (lane->next_place - lane->length);
    }
    pthread_mutex_unlock(&lanes->lock);
    return before > 0 ? before : 0;
}

void lanes_read_stats(struct lanes *lanes, struct lanes_stats *out)
{
    pthread_mutex_lock(&lanes->lock);
    int64_t now_ns = clock_now_ns();
    unpark_locked(lanes, now_ns);
    *out = (struct lanes_stats){
        .max = lanes->options.max,
        .length = lanes->length,
        .taken = lanes->taken,
        .lanes = lanes->filled,
        .parked = lanes->parked_count,
        .age_ns = lanes->length == 0 ? 0 : now_ns - aged_of(lanes->ages.next)->entered_ns,
        .put = lanes->put,
        .refused = lanes->refused,
        .lane_refused = lanes->lane_refused,
        .interval_ns = interval_locked(lanes, now_ns),
    };
    pass_on_locked(lanes); /* for what has been unparked */
    pthread_mutex_unlock(&lanes->lock);
}

void lanes_close(struct lanes *lanes, int64_t deadline_ns)
{
    pthread_mutex_lock(&lanes->lock);
    lanes->is_closed = true;
    lanes->close_ns = deadline_ns < lanes->close_ns ? deadline_ns : lanes->close_ns;
    pthread_cond_broadcast(&lanes->changed);
    pthread_mutex_unlock(&lanes->lock);
}
