/* commit_cut UPSTREAM LISTEN EVERY CUTS: loses connections to PostgreSQL in the middle of a COMMIT.
 *
 * A man in the middle between two unix sockets. Every EVERYth COMMIT that comes by is cut in one of
 * three ways, in turn, which its client cannot tell apart: it never reached the server; it did, and
 * the answer is lost; it did, and both sides are cut at once, so that a client that tries again may
 * be there before the commit is. After CUTS cuts everything passes. One line is printed per cut.
 *
 * Of the protocol it reads what it needs (PostgreSQL manual, "Message Formats"): messages from the
 * client, whole; a COMMIT is a Query, or a Bind to a statement that was prepared as one. Of the
 * server it only looks for the words that end a COMMIT. No TLS, one thread; ends at a signal. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    PAIRS = 64,            /* connections at once */
    MESSAGE_MAX = 1 << 20, /* bytes of a client's message: more than the largest batch's INSERT */
    NAME_MAX_BYTES = 64,   /* of a prepared statement, with its NUL */
    STARTUP_HEAD = 4,      /* bytes: the length */
    HEAD = 5,              /* bytes: the type and the length */
    REQUEST_SSL = 80877103,
    REQUEST_GSS = 80877104,
};

enum way { REQUEST_LOST, ANSWER_LOST, BOTH_CUT, WAYS };

static const char *const WAY_NAMES[WAYS] = {"the request is lost", "the answer is lost",
                                            "both sides at once"};

struct pair {
    int client, server; /* -1: free */
    bool started;       /* the startup message has passed */
    bool doomed;        /* the next answer is thrown away, and the connection with it */
    bool has_commit;    /* a statement named commit_name is a COMMIT */
    char commit_name[NAME_MAX_BYTES];
    size_t length; /* of what is in message */
    unsigned char message[MESSAGE_MAX];
};

static struct pair pairs[PAIRS];
static struct sockaddr_un upstream;
static long every, cuts_max, commits, cuts;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "commit_cut: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void end_pair(struct pair *pair)
{
    close(pair->client);
    close(pair->server);
    pair->client = pair->server = -1;
}

/* A peer that has gone ends its pair when that is read from. */
static void pass_on(int fd, const unsigned char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        bytes += sent;
        length -= (size_t)sent;
    }
}

static uint32_t number_at(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* The first message's bytes in all, with its head; 0: it is not whole yet. */
static size_t message_size(const struct pair *pair)
{
    size_t head = pair->started ? HEAD : STARTUP_HEAD;
    if (pair->length < head) {
        return 0;
    }
    size_t size = number_at(pair->message + head - STARTUP_HEAD) + head - STARTUP_HEAD;
    if (size > MESSAGE_MAX || size < head) {
        errno = EMSGSIZE;
        die("a client's message");
    }
    return size <= pair->length ? size : 0;
}

static bool begins_with_commit(const char *sql)
{
    return strncasecmp(sql, "COMMIT", strlen("COMMIT")) == 0;
}

/* Remembers a statement that is prepared as a COMMIT. name: NUL, then the text. */
static void look_at_parse(struct pair *pair, const char *name)
{
    bool same = pair->has_commit && strcmp(name, pair->commit_name) == 0;
    if (begins_with_commit(name + strlen(name) + 1)) {
        pair->has_commit = true;
        snprintf(pair->commit_name, sizeof pair->commit_name, "%s", name);
    } else if (same) {
        pair->has_commit = false;
    }
}

/* Is the message, whole and with a NUL after it, a COMMIT? */
static bool is_commit(struct pair *pair)
{
    const char *body = (const char *)pair->message + HEAD;
    switch (pair->message[0]) {
    case 'Q':
        return begins_with_commit(body);
    case 'P':
        look_at_parse(pair, body);
        return false;
    case 'B': /* the portal's name, the statement's name */
        return pair->has_commit && strcmp(body + strlen(body) + 1, pair->commit_name) == 0;
    default:
        return false;
    }
}

static bool is_startup(const struct pair *pair)
{
    uint32_t code = pair->length >= 2 * STARTUP_HEAD ? number_at(pair->message + STARTUP_HEAD) : 0;
    return code != REQUEST_SSL && code != REQUEST_GSS;
}

/* A COMMIT came by: is it cut? Returns whether the pair lives on. */
static bool meet_commit(struct pair *pair, size_t size)
{
    if (++commits % every != 0 || cuts == cuts_max) {
        pass_on(pair->server, pair->message, size);
        return true;
    }
    enum way way = (enum way)(cuts++ % WAYS);
    printf("cut %ld: %s\n", cuts, WAY_NAMES[way]);
    fflush(stdout);
    if (way !=
        REQUEST_LOST) { /* with what follows it: a Bind without its Execute commits nothing */
        pass_on(pair->server, pair->message, pair->length);
    }
    pair->doomed = way == ANSWER_LOST;
    if (!pair->doomed) {
        end_pair(pair);
    }
    pair->length = size;
    return pair->doomed;
}

static void from_client(struct pair *pair)
{
    ssize_t got = recv(pair->client, pair->message + pair->length, MESSAGE_MAX - pair->length, 0);
    if (got <= 0) {
        end_pair(pair);
        return;
    }
    pair->length += (size_t)got;
    size_t size;
    while ((size = message_size(pair)) > 0) {
        if (!pair->started) {
            pair->started = is_startup(pair);
            pass_on(pair->server, pair->message, size);
        } else if (!pair->doomed && is_commit(pair)) {
            if (!meet_commit(pair, size)) {
                return;
            }
        } else {
            pass_on(pair->server, pair->message, size);
        }
        pair->length -= size;
        memmove(pair->message, pair->message + size, pair->length);
    }
}

static bool has_word(const unsigned char *bytes, size_t length, const char *word)
{
    size_t size = strlen(word);
    for (size_t i = 0; i + size <= length; i++) {
        if (memcmp(bytes + i, word, size) == 0) {
            return true;
        }
    }
    return false;
}

static void from_server(struct pair *pair)
{
    static unsigned char bytes[MESSAGE_MAX];
    ssize_t got = recv(pair->server, bytes, sizeof bytes, 0);
    bool over =
        got <= 0 || (pair->doomed && (bytes[0] == 'E' || has_word(bytes, (size_t)got, "COMMIT") ||
                                      has_word(bytes, (size_t)got, "ROLLBACK")));
    if (over) {
        end_pair(pair);
    } else if (!pair->doomed) {
        pass_on(pair->client, bytes, (size_t)got);
    }
}

static void meet_client(int listener)
{
    int client = accept(listener, NULL, NULL);
    for (int i = 0; client >= 0 && i < PAIRS; i++) {
        struct pair *pair = &pairs[i];
        if (pair->client >= 0) {
            continue;
        }
        int server = socket(AF_UNIX, SOCK_STREAM, 0);
        memset(pair, 0, offsetof(struct pair, message));
        pair->client = client;
        pair->server = server;
        if (connect(server, (const struct sockaddr *)&upstream, sizeof upstream) != 0) {
            end_pair(pair);
        }
        return;
    }
    if (client >= 0) {
        close(client); /* too many: it will come again */
    }
}

static void serve(int listener)
{
    struct pollfd fds[1 + 2 * PAIRS];
    for (;;) {
        fds[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (int i = 0; i < PAIRS; i++) {
            fds[1 + 2 * i] = (struct pollfd){.fd = pairs[i].client, .events = POLLIN};
            fds[2 + 2 * i] = (struct pollfd){.fd = pairs[i].server, .events = POLLIN};
        }
        if (poll(fds, 1 + 2 * PAIRS, -1) < 0 && errno != EINTR) {
            die("poll");
        }
        for (int i = 0; i < PAIRS; i++) { /* one side a round: the other may end the pair */
            if (fds[1 + 2 * i].fd >= 0 && fds[1 + 2 * i].revents != 0) {
                from_client(&pairs[i]);
            } else if (fds[2 + 2 * i].fd >= 0 && fds[2 + 2 * i].revents != 0) {
                from_server(&pairs[i]);
            }
        }
        if (fds[0].revents != 0) {
            meet_client(listener);
        }
    }
}

static void set_address(struct sockaddr_un *address, const char *path)
{
    address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        die(path);
    }
    memcpy(address->sun_path, path, strlen(path) + 1);
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {0};
    every = argc == 5 ? strtol(argv[3], NULL, 10) : 0;
    cuts_max = argc == 5 ? strtol(argv[4], NULL, 10) : 0;
    if (every < 1 || cuts_max < 1) {
        fprintf(stderr, "usage: commit_cut UPSTREAM LISTEN EVERY CUTS\n");
        return 64;
    }
    set_address(&upstream, argv[1]);
    set_address(&address, argv[2]);
    for (int i = 0; i < PAIRS; i++) {
        pairs[i].client = pairs[i].server = -1;
    }
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, PAIRS) != 0) {
        die(argv[2]);
    }
    puts("listening");
    fflush(stdout);
    serve(listener);
}
