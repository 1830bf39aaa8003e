/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict JSON scanner (RFC 8259), one pass, no tree: it gives the members of a record's own object
 * one after the other, with every nested value already checked. Nothing is copied or converted; a
 * value is its type and its bytes in the record. Levels are counted, not recursed.
 *
 * Strict also where parsers often are not: no BOM, no lone surrogate escape, no control character
 * inside a string, nothing but blanks after the end. The bytes must be valid UTF-8 already.
 */
#ifndef CM_EVENT_JSON_SCAN_H
#define CM_EVENT_JSON_SCAN_H

enum json_type {
    JSON_NONE = 0, /* no such member */
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_value {
    const char *p; /* the bytes as sent; of a string those between the quotes */
    uint32_t len;
    uint8_t type; /* enum json_type */
    bool escaped; /* a string with at least one backslash */
};

enum json_fault {
    JSON_OK = 0,
    JSON_INVALID,  /* at `p` */
    JSON_TOO_DEEP, /* the bracket at `p` opens level LIMIT_DEPTH + 1 */
};

struct json_scan {
    const char *p, *end;
    enum json_fault fault;
    bool first; /* no member was read yet */
};

/* The blanks of JSON's grammar. */
static inline bool json_is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/*
 * Starts on a text. If its value is an object, returns JSON_OBJECT, and its members are to be read
 * with json_scan_next(). If it is anything else, checks it to the end and returns its type. JSON_NONE:
 * see s->fault.
 */
enum json_type json_scan_begin(struct json_scan *s, const char *text, size_t len);

/*
 * The next member of the outermost object. False at the end, which includes that only blanks follow
 * the object, and on a fault (s->fault).
 */
bool json_scan_next(struct json_scan *s, struct json_value *ret_name, struct json_value *ret_value);

/*
 * The text of a string found by the scanner, escapes undone. out: room for len bytes (it never gets
 * longer). Returns the length.
 */
size_t json_unescape(const char *p, size_t len, char *out);

/*
 * Reads the escape at `p`, the byte after the backslash, of a string found by the scanner. A pair of
 * surrogate escapes is one. Returns the byte after it.
 */
const char *json_read_escape(const char *p, uint32_t *ret_code);

#endif
