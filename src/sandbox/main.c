/* flowspool-sandbox - the workflow endpoint on this machine: options, load, listen, serve. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "core/fault.h"
#include "sandbox/listen.h"
#include "sandbox/options.h"
#include "sandbox/server.h"
#include "sandbox/workflows.h"

#define PEM_MAX 1048576

enum { EXIT_STOPPED = 0, EXIT_BROKEN = 1, EXIT_USAGE = 2 };

struct program {
    struct options options;
    struct workflows workflows;
    struct service service;
    struct server server;
    char *cert, *key;
    uv_loop_t loop;
    uv_signal_t signals[3];
};

static int complain(const struct fault *fault, int status)
{
    fprintf(stderr, "flowspool-sandbox: %s\n", fault->text);
    return status;
}

/* file:line:column, as compilers say it, so that editors can jump there. */
static int complain_about_file(const char *path, const struct fault *fault)
{
    if (fault->line == 0) {
        fprintf(stderr, "flowspool-sandbox: %s: %s\n", path, fault->text);
    } else {
        fprintf(stderr, "flowspool-sandbox: %s:%zu:%zu: %s\n", path, fault->line,
                fault->column ? fault->column : 1, fault->text);
    }
    return EXIT_USAGE;
}

/* The loop ends when nothing of this is left in it. */
static void stop(struct program *p)
{
    server_stop(&p->server);
    for (size_t i = 0; i < sizeof p->signals / sizeof p->signals[0]; i++) {
        uv_close((uv_handle_t *)&p->signals[i], NULL);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct program *p = handle->data;
    if (number == SIGUSR1) {
        size_t len;
        char *text = server_stats(&p->server, false, &len);
        fputs(text ? text : "", stderr);
        free(text);
        return;
    }
    stop(p);
}

static int watch_signals(struct program *p)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};
    for (size_t i = 0; i < sizeof p->signals / sizeof p->signals[0]; i++) {
        int error = uv_signal_init(&p->loop, &p->signals[i]);
        p->signals[i].data = p;
        error = error ? error : uv_signal_start(&p->signals[i], on_signal, numbers[i]);
        if (error) {
            return error;
        }
    }
    return 0;
}

/* malloc'd text of a small file, NUL-terminated; NULL with *fault. */
static char *read_pem(const char *path, struct fault *fault)
{
    FILE *file = fopen(path, "re");
    char *text = file ? malloc(PEM_MAX) : NULL;
    size_t len = text ? fread(text, 1, PEM_MAX, file) : 0;
    if (!text || ferror(file)) {
        fault_set(fault, 0, 0, "cannot read it: %s", strerror(errno));
    } else if (len == PEM_MAX) {
        fault_set(fault, 0, 0, "too large for a PEM file");
    } else {
        text[len] = '\0';
        fclose(file);
        return text;
    }
    free(text);
    if (file) {
        fclose(file);
    }
    return NULL;
}

static bool load_tls(struct program *p, struct fault *fault)
{
    if (!p->options.tls_cert) {
        return true;
    }
    p->cert = read_pem(p->options.tls_cert, fault);
    if (!p->cert) {
        complain_about_file(p->options.tls_cert, fault);
        return false;
    }
    p->key = read_pem(p->options.tls_key, fault);
    if (!p->key) {
        complain_about_file(p->options.tls_key, fault);
    }
    return p->key != NULL;
}

/* Who waits for the line finds the file written. */
static bool announce(const struct program *p, uint16_t port, struct fault *fault)
{
    if (p->options.port_file && !listen_write_port_file(p->options.port_file, port, fault)) {
        return false;
    }
    const char *address = p->options.listen;
    bool v6 = strchr(address, ':') != NULL;
    printf("flowspool-sandbox: listening on %s://%s%s%s:%u\n", p->cert ? "https" : "http", v6 ? "[" : "",
           address, v6 ? "]" : "", port);
    fflush(stdout);
    return true;
}

static int serve(struct program *p)
{
    struct fault fault;
    uint16_t port = p->options.port;
    int fd = listen_open(p->options.listen, &port, &fault);
    if (fd < 0) {
        return complain(&fault, EXIT_BROKEN);
    }
    struct server_tls tls = {p->cert, p->key};
    if (!server_start(&p->server, &p->loop, &p->service, fd, tls, &fault)) {
        close(fd);
        return complain(&fault, tls.cert ? EXIT_USAGE : EXIT_BROKEN);
    }
    int error = watch_signals(p);
    if (error) {
        fault_set(&fault, 0, 0, "cannot watch for signals: %s", uv_strerror(error));
        return complain(&fault, EXIT_BROKEN);
    }
    if (!announce(p, port, &fault)) {
        stop(p);
        uv_run(&p->loop, UV_RUN_DEFAULT);
        return complain(&fault, EXIT_BROKEN);
    }
    uv_run(&p->loop, UV_RUN_DEFAULT);
    return EXIT_STOPPED;
}

static int load_and_serve(struct program *p)
{
    struct fault fault;
    if (p->options.workflows && !workflows_load(p->options.workflows, &p->workflows, &fault)) {
        return complain_about_file(p->options.workflows, &fault);
    }
    if (!load_tls(p, &fault)) {
        return EXIT_USAGE;
    }
    unsigned allowed = listen_allow_connections(p->options.max_connections);
    if (allowed < p->options.max_connections) {
        fprintf(stderr, "flowspool-sandbox: descriptors allow only %u connections\n", allowed);
        p->options.max_connections = allowed;
    }
    if (!service_init(&p->service, &p->options, &p->workflows)) {
        fprintf(stderr, "flowspool-sandbox: out of memory\n");
        return EXIT_BROKEN;
    }
    int error = uv_loop_init(&p->loop);
    if (error) {
        fprintf(stderr, "flowspool-sandbox: the event loop does not start: %s\n", uv_strerror(error));
        service_free(&p->service);
        return EXIT_BROKEN;
    }
    int status = serve(p);
    uv_loop_close(&p->loop);
    service_free(&p->service);
    return status;
}

int main(int argc, char **argv)
{
    static struct program p;
    int status = EXIT_STOPPED;
    signal(SIGPIPE, SIG_IGN);
    switch (options_parse(argc, argv, &p.options)) {
    case OPTIONS_GO:
        status = load_and_serve(&p);
        break;
    case OPTIONS_WRONG:
        status = EXIT_USAGE;
        break;
    case OPTIONS_DONE:
        break;
    }
    workflows_free(&p.workflows);
    free(p.cert);
    free(p.key);
    options_free(&p.options);
    return status;
}
