/*
 * The CNI executable: hands a request to the node's agent and prints its answer.
 *
 * A runtime starts it for every pod and waits for it, so it is small and static (docs/decisions/010-cni-executable.md).
 * It knows nothing of networks. It decides only what must be decided when the agent is away: VERSION has an answer, DEL
 * is noted in a folder that the agent works off when it is back, everything else is to be tried again later.
 *
 * To the agent, one line:  {"type":"cni","environment":{"CNI_COMMAND":"ADD",...},"config":"<standard input>"}
 * From it, one line:       {"type":"cni","exitCode":0,"output":{...}}      without `output` there is none
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char default_socket[] = "/run/isobar/agent.sock";
static const char newest_version[] = "1.1.0";
static const char supported_versions[] = "[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]";

/* CNI specification, section 5, "Error"; the agent's are in src/cni/errors.ts. */
enum { INVALID_ENVIRONMENT = 4, IO_FAILURE = 5, INVALID_CONFIG = 7, TRY_AGAIN_LATER = 11, NOT_AVAILABLE = 50 };

/* A plugin's configuration has some hundred bytes; with a long prevResult some thousand. */
enum { MAX_CONFIG_SIZE = 256 * 1024, MAX_REPLY_SIZE = 4 * 1024 * 1024 };

/* The agent keeps its own, shorter time limits and answers with a reason. These are for one that hangs. */
enum { LONG_WAIT_SECONDS = 330, SHORT_WAIT_SECONDS = 20, VERSION_WAIT_MS = 500 };

extern char **environ;

struct span {
  const char *text;
  size_t length;
};

struct buffer {
  char *data;
  size_t length, capacity;
};

static const struct span none = {NULL, 0};

/* The version that the answer is in: the request's, if it is a supported one. */
static struct span answer_version;

static void *checked(void *memory) {
  if (memory == NULL) abort();
  return memory;
}

static void append(struct buffer *buffer, const void *data, size_t length) {
  while (buffer->capacity - buffer->length < length) {
    buffer->capacity = buffer->capacity == 0 ? 4096 : buffer->capacity * 2;
    buffer->data = checked(realloc(buffer->data, buffer->capacity));
  }
  memcpy(buffer->data + buffer->length, data, length);
  buffer->length += length;
}

static void append_text(struct buffer *buffer, const char *text) {
  append(buffer, text, strlen(text));
}

/* As a JSON string (RFC 8259 section 7). What is not UTF-8 is left for the agent to refuse. */
static void append_string(struct buffer *buffer, const char *text, size_t length) {
  append_text(buffer, "\"");
  for (size_t index = 0; index < length; index++) {
    unsigned char byte = (unsigned char)text[index];
    char escaped[8];
    if (byte == '"' || byte == '\\') {
      snprintf(escaped, sizeof escaped, "\\%c", byte);
      append_text(buffer, escaped);
    } else if (byte < 0x20) {
      snprintf(escaped, sizeof escaped, "\\u%04x", byte);
      append_text(buffer, escaped);
    } else {
      append(buffer, &text[index], 1);
    }
  }
  append_text(buffer, "\"");
}

/* ---- Reading JSON: just enough to find a member of the outermost object. Never reads beyond `end`. ---- */

static const char *skip_space(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
  return at;
}

/* Behind the string that begins at `at`, or `end`. */
static const char *skip_string(const char *at, const char *end) {
  for (at++; at < end && *at != '"'; at++) {
    if (*at == '\\') at++;
  }
  return at < end ? at + 1 : end;
}

/* Behind the value that begins at `at`, or `end`. */
static const char *skip_value(const char *at, const char *end) {
  size_t depth = 0;
  while (at < end) {
    if (*at == '"') {
      at = skip_string(at, end);
      if (depth == 0) return at;
      continue;
    }
    bool closes = *at == '}' || *at == ']';
    if (depth == 0 && (closes || *at == ',' || *at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) return at;
    if (*at == '{' || *at == '[') depth++;
    at++;
    if (closes && --depth == 0) return at;
  }
  return end;
}

/* The text of the member's value; `none` when there is no such member, or the text is not understood. */
static struct span member(struct span object, const char *name) {
  const char *end = object.text + object.length;
  const char *at = object.length == 0 ? end : skip_space(object.text, end);
  if (at == end || *at != '{') return none;
  for (at = skip_space(at + 1, end); at < end && *at == '"'; at = skip_space(at + 1, end)) {
    const char *key = at + 1;
    at = skip_string(at, end);
    size_t key_length = (size_t)(at - key) - 1;
    at = skip_space(at, end);
    if (at == end || *at != ':') return none;
    const char *value = skip_space(at + 1, end);
    at = skip_value(value, end);
    if (key_length == strlen(name) && memcmp(key, name, key_length) == 0) {
      return (struct span){value, (size_t)(at - value)};
    }
    at = skip_space(at, end);
    if (at == end || *at != ',') return none;
  }
  return none;
}

/* The content of a string member without escapes; `none` for anything else. */
static struct span string_member(struct span object, const char *name) {
  struct span value = member(object, name);
  if (value.length < 2 || value.text[0] != '"' || memchr(value.text, '\\', value.length) != NULL) return none;
  return (struct span){value.text + 1, value.length - 2};
}

/* ---- Answering ---- */

static int print(const struct buffer *output) {
  for (size_t sent = 0; sent < output->length;) {
    ssize_t written = write(STDOUT_FILENO, output->data + sent, output->length - sent);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return 1;
    sent += (size_t)written;
  }
  return 0;
}

static void append_version(struct buffer *output) {
  append_text(output, "{\"cniVersion\":");
  append_string(output, answer_version.text, answer_version.length);
}

static int fail(int code, const char *message, const char *details) {
  struct buffer output = {0};
  char number[16];
  snprintf(number, sizeof number, "%d", code);
  append_version(&output);
  append_text(&output, ",\"code\":");
  append_text(&output, number);
  append_text(&output, ",\"msg\":");
  append_string(&output, message, strlen(message));
  append_text(&output, ",\"details\":");
  append_string(&output, details, strlen(details));
  append_text(&output, "}\n");
  print(&output);
  return 1;
}

static int answer_to_version(void) {
  struct buffer output = {0};
  append_version(&output);
  append_text(&output, ",\"supportedVersions\":");
  append_text(&output, supported_versions);
  append_text(&output, "}\n");
  return print(&output);
}

/* ---- The agent ---- */

/* Everything that comes, up to one byte more than `limit`. False when it cannot be read. */
static bool read_all(int fd, struct buffer *buffer, size_t limit) {
  char chunk[16384];
  while (buffer->length <= limit) {
    size_t room = limit + 1 - buffer->length;
    ssize_t got = read(fd, chunk, room < sizeof chunk ? room : sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) return true;
    append(buffer, chunk, (size_t)got);
  }
  return true;
}

static struct buffer request_line(const struct buffer *config) {
  struct buffer line = {0};
  append_text(&line, "{\"type\":\"cni\",\"environment\":{");
  const char *separator = "";
  for (char **entry = environ; *entry != NULL; entry++) {
    const char *equals = strchr(*entry, '=');
    if (strncmp(*entry, "CNI_", 4) != 0 || equals == NULL) continue;
    append_text(&line, separator);
    append_string(&line, *entry, (size_t)(equals - *entry));
    append_text(&line, ":");
    append_string(&line, equals + 1, strlen(equals + 1));
    separator = ",";
  }
  append_text(&line, "},\"config\":");
  append_string(&line, config->data == NULL ? "" : config->data, config->length);
  append_text(&line, "}\n");
  return line;
}

/* Connected, or -1 with errno. */
static int connect_to(const char *path, int wait_seconds) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct timeval timeout = {.tv_sec = wait_seconds};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int reason = errno;
  close(fd);
  errno = reason;
  return -1;
}

/* The agent's line; false with errno when it did not come. The agent closes when it has answered all there was. */
static bool ask(int fd, const struct buffer *line, struct buffer *reply) {
  for (size_t sent = 0; sent < line->length;) {
    ssize_t written = send(fd, line->data + sent, line->length - sent, MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    sent += (size_t)written;
  }
  char chunk[16384];
  while (reply->length < MAX_REPLY_SIZE) {
    ssize_t got = read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) break;
    append(reply, chunk, (size_t)got);
    if (memchr(chunk, '\n', (size_t)got) != NULL) return true;
  }
  errno = ECONNRESET;
  return false;
}

static int pass_on(const struct buffer *reply) {
  struct span object = {reply->data, reply->length};
  struct span code = member(object, "exitCode");
  struct span output = member(object, "output");
  if (code.length == 0) return fail(IO_FAILURE, "the agent's answer is not understood", "is it of another version?");
  if (output.length > 0) {
    struct buffer text = {0};
    append(&text, output.text, output.length);
    append_text(&text, "\n");
    if (print(&text) != 0) return 1;
  }
  return code.length == 1 && code.text[0] == '0' ? 0 : 1;
}

/* ---- DEL without the agent ---- */

static void make_folders(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(path, 0755);
    *slash = '/';
  }
  mkdir(path, 0700);
}

/* Notes the request in `SOCKET.pending`, whole or not at all. */
static bool note(const char *socket, const struct buffer *line) {
  char folder[512], hidden[640], final[640];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  snprintf(folder, sizeof folder, "%s.pending", socket);
  make_folders(folder);
  long long seconds = (long long)now.tv_sec;
  snprintf(final, sizeof final, "%s/%lld.%09ld-%d.json", folder, seconds, now.tv_nsec, (int)getpid());
  snprintf(hidden, sizeof hidden, "%s/.%lld.%09ld-%d", folder, seconds, now.tv_nsec, (int)getpid());
  int fd = open(hidden, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  bool whole = write(fd, line->data, line->length) == (ssize_t)line->length;
  whole = fsync(fd) == 0 && whole;
  whole = close(fd) == 0 && whole;
  if (whole && rename(hidden, final) == 0) return true;
  unlink(hidden);
  return false;
}

static bool is_set(const char *name) {
  const char *value = getenv(name);
  return value != NULL && value[0] != '\0';
}

static int without_agent(const char *command, const char *socket, const struct buffer *line, const char *reason) {
  char details[1024];
  snprintf(details, sizeof details, "%s: %s", socket, reason);
  if (strcmp(command, "DEL") == 0) {
    if (!is_set("CNI_CONTAINERID") || !is_set("CNI_IFNAME")) {
      return fail(INVALID_ENVIRONMENT, "CNI_CONTAINERID and CNI_IFNAME must be set", details);
    }
    if (note(socket, line)) return 0;
    snprintf(details, sizeof details, "%s.pending: %s", socket, strerror(errno));
    return fail(IO_FAILURE, "the agent of this node does not answer, and the deletion cannot be noted for it", details);
  }
  int code = strcmp(command, "STATUS") == 0 ? NOT_AVAILABLE : TRY_AGAIN_LATER;
  return fail(code, "the agent of this node does not answer", details);
}

static bool is_command(const char *text) {
  static const char *const commands[] = {"ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"};
  for (size_t index = 0; index < sizeof commands / sizeof commands[0]; index++) {
    if (strcmp(text, commands[index]) == 0) return true;
  }
  return false;
}

static void choose_version(struct span config) {
  answer_version = (struct span){newest_version, strlen(newest_version)};
  struct span wanted = string_member(config, "cniVersion");
  if (wanted.length == 0) return;
  char quoted[16];
  snprintf(quoted, sizeof quoted, "\"%.*s\"", (int)wanted.length, wanted.text);
  if (strstr(supported_versions, quoted) != NULL) answer_version = wanted;
}

int main(void) {
  const char *command = getenv("CNI_COMMAND");
  struct buffer config = {0};
  choose_version(none);
  if (command == NULL || !is_command(command)) {
    return fail(INVALID_ENVIRONMENT, "CNI_COMMAND must be ADD, DEL, CHECK, GC, STATUS or VERSION",
                command == NULL ? "CNI_COMMAND is not set" : command);
  }
  bool deletes = strcmp(command, "DEL") == 0;
  /* Whoever asks for the version by hand types no configuration. */
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  bool has_input = strcmp(command, "VERSION") != 0 || poll(&input, 1, VERSION_WAIT_MS) > 0;
  if (has_input && !read_all(STDIN_FILENO, &config, MAX_CONFIG_SIZE) && !deletes) {
    return fail(IO_FAILURE, "the network configuration cannot be read from standard input", strerror(errno));
  }
  struct span text = {config.data, config.length};
  choose_version(text);
  if (strcmp(command, "VERSION") == 0) return answer_to_version();
  char socket[sizeof((struct sockaddr_un *)0)->sun_path];
  struct span given = string_member(text, "socket");
  if (given.length >= sizeof socket) return fail(INVALID_CONFIG, "socket is not the path of a socket", "it is too long");
  if (given.length > 0) snprintf(socket, sizeof socket, "%.*s", (int)given.length, given.text);
  else snprintf(socket, sizeof socket, "%s", default_socket);
  if (config.length > MAX_CONFIG_SIZE) {
    if (!deletes) return fail(INVALID_CONFIG, "the network configuration is too long", "expected at most 262144 bytes");
    /* What is to be deleted is in the environment. */
    config.length = 0;
  }
  struct buffer line = request_line(&config), reply = {0};
  bool waits = strcmp(command, "DEL") != 0 && strcmp(command, "STATUS") != 0;
  int fd = connect_to(socket, waits ? LONG_WAIT_SECONDS : SHORT_WAIT_SECONDS);
  if (fd < 0 || !ask(fd, &line, &reply)) {
    const char *reason = errno == EAGAIN || errno == EWOULDBLOCK ? "no answer in time" : strerror(errno);
    return without_agent(command, socket, &line, reason);
  }
  return pass_on(&reply);
}
