/* Errors, clocks of this process and the server's, and latencies with their percentiles. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

static float *latencies;
static size_t latency_count, latency_room;

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static double in_seconds(struct timespec time)
{
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return in_seconds(time);
}

static double cpu_seconds(pid_t pid)
{
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &time))
        fail("no process %d", (int)pid);
    return in_seconds(time);
}

/* Seconds in which the process could have run but another had its CPU; 0 where the kernel does not
 * count them. */
static double seconds_waited(pid_t pid)
{
    char path[64];
    unsigned long long waited = 0;
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%*u %llu", &waited) != 1)
        waited = 0;
    fclose(file);
    return (double)waited * 1e-9;
}

struct clocks read_clocks(void)
{
    struct clocks clocks = {.now = now(), .load_wait = seconds_waited(getpid())};
    if (options.server_pid) {
        clocks.server_cpu = cpu_seconds(options.server_pid);
        clocks.server_wait = seconds_waited(options.server_pid);
    }
    return clocks;
}

void add_latency(double latency)
{
    if (latency_count == latency_room) {
        latency_room = latency_room ? 2 * latency_room : 1 << 20;
        latencies = realloc(latencies, latency_room * sizeof *latencies);
        if (!latencies)
            fail("no memory for %zu latencies", latency_room);
    }
    latencies[latency_count++] = (float)latency;
}

void forget_latencies(void)
{
    latency_count = 0;
}

static int compare_floats(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

void print_latencies(void)
{
    if (!latency_count)
        return;
    qsort(latencies, latency_count, sizeof *latencies, compare_floats);
    printf(", \"p50\": %.9f, \"p99\": %.9f", latencies[latency_count / 2],
           latencies[latency_count * 99 / 100]);
}
