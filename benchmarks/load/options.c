/* The arguments. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "load.h"

struct options options = {.spinning = true, .window = 1 << 20};

__attribute__((noreturn))
static void usage(void)
{
    fail("usage: load [-s] [-u] [-i IDLE] [-f BYTES] [-p PID] [-w SECONDS]"
         " MODE ADDRESS CONNECTIONS SIZE SECONDS");
}

static double number(const char *word, double least, double most)
{
    char *end;
    double value = strtod(word, &end);
    if (end == word || *end || !(value >= least && value <= most))
        fail("%s is not a number from %g to %g", word, least, most);
    return value;
}

static struct address unix_address(const char *path)
{
    struct address address = {.length = sizeof(struct sockaddr_un), .type = SOCK_STREAM};
    struct sockaddr_un *raw = (struct sockaddr_un *)&address.raw;
    if (strlen(path) >= sizeof raw->sun_path)
        fail("the path %s is too long", path);
    raw->sun_family = AF_UNIX;
    strcpy(raw->sun_path, path);
    return address;
}

static struct address inet_address(char *word, int type)
{
    struct address address = {.type = type};
    const struct addrinfo hints = {
        .ai_socktype = type, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
    };
    struct addrinfo *found;
    char *colon = strrchr(word, ':');
    if (!colon)
        fail("%s has no port", word);
    *colon = 0;
    if (getaddrinfo(word, colon + 1, &hints, &found))
        fail("%s and %s are no address and port in numbers", word, colon + 1);
    memcpy(&address.raw, found->ai_addr, found->ai_addrlen);
    address.length = found->ai_addrlen;
    freeaddrinfo(found);
    return address;
}

static struct address parse_address(char *word)
{
    struct address address;
    char *rest = strchr(word, ':');
    if (!rest)
        fail("%s begins with neither tcp:, tls:, udp: nor unix:", word);
    *rest++ = 0;
    if (!strcmp(word, "unix"))
        return unix_address(rest);
    if (!strcmp(word, "udp"))
        return inet_address(rest, SOCK_DGRAM);
    address = inet_address(rest, SOCK_STREAM);
    address.tls = !strcmp(word, "tls");
    if (!address.tls && strcmp(word, "tcp"))
        fail("there is no transport %s", word);
    return address;
}

void parse_options(int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "sui:f:p:w:")) != -1;) {
        switch (option) {
        case 's': options.spinning = false; break;
        case 'u': options.text = true; break;
        case 'i': options.idle = (long)number(optarg, 0, 1e6); break;
        case 'f': options.window = (long)number(optarg, 1, 1 << 30); break;
        case 'p': options.server_pid = (pid_t)number(optarg, 1, INT32_MAX); break;
        case 'w': options.warm_up = number(optarg, 0, 60); break;
        default: usage();
        }
    }
    if (argc - optind != 5)
        usage();
    argv += optind;
    options.mode = argv[0];
    options.server = parse_address(argv[1]);
    options.connections = (long)number(argv[2], 1, 1e6);
    options.size = (long)number(argv[3], 1, 1 << 20);
    options.seconds = number(argv[4], 0.01, 600);
}
