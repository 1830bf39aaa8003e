/* SPDX-License-Identifier: Apache-2.0 */
#include "base/xml.h"

#include <assert.h>
#include <expat.h>

#include "base/limits.h"
#include "base/mem.h"

struct walk {
    XML_Parser parser;
    xml_element *fn;
    void *arg;
    char path[XML_PATH];
    int depth;
    struct buf text[XML_DEPTH]; /* of each open element */
    const char *bound;          /* that was passed; NULL: none */
    int r;
    struct err *e;
};

static void stop(struct walk *w) {
    XML_StopParser(w->parser, XML_FALSE);
}

static void pass_bound(struct walk *w, const char *what) {
    w->bound = what;
    stop(w);
}

static void XMLCALL on_start(void *arg, const XML_Char *name,
                             const XML_Char **attributes ATTR_UNUSED) {
    struct walk *w = arg;
    size_t len = strlen(w->path), n = strlen(name);
    if (w->depth == XML_DEPTH)
        return pass_bound(w, "elements are nested too deep");
    if (len + 1 + n >= sizeof w->path)
        return pass_bound(w, "an element's name is too long");
    if (len)
        w->path[len++] = '/';
    memcpy(w->path + len, name, n + 1);
    buf_reset(&w->text[w->depth++]);
}

static void XMLCALL on_end(void *arg, const XML_Char *name ATTR_UNUSED) {
    struct walk *w = arg;
    if (w->r || w->bound) /* an empty element ends even after the stop */
        return;
    struct buf *text = &w->text[--w->depth];
    if (text->overflow)
        return pass_bound(w, "a text is too long");
    w->r = w->fn(w->arg, w->path, buf_str(text), w->e);
    char *slash = strrchr(w->path, '/');
    *(slash ? slash : w->path) = '\0';
    if (w->r)
        stop(w);
}

static void XMLCALL on_text(void *arg, const XML_Char *s, int len) {
    struct walk *w = arg;
    if (w->depth > 0)
        buf_add(&w->text[w->depth - 1], s, (size_t)len);
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name ATTR_UNUSED,
                               const XML_Char *system_id ATTR_UNUSED,
                               const XML_Char *public_id ATTR_UNUSED, int internal ATTR_UNUSED) {
    pass_bound(arg, "it has a document type");
}

int xml_walk(const char *data, size_t len, xml_element *fn, void *arg, int code, struct err *e) {
    if (len > INT32_MAX)
        return err_set(e, code, "no XML we read: %zu bytes", len);
    struct walk w = {.parser = XML_ParserCreate(NULL), .fn = fn, .arg = arg, .e = e};
    assert(w.parser);
    for (int i = 0; i < XML_DEPTH; i++)
        w.text[i].max = XML_TEXT;
    XML_SetUserData(w.parser, &w);
    XML_SetElementHandler(w.parser, on_start, on_end);
    XML_SetCharacterDataHandler(w.parser, on_text);
    XML_SetStartDoctypeDeclHandler(w.parser, on_doctype);
    enum XML_Status status = XML_Parse(w.parser, data, (int)len, 1);
    if (w.bound)
        w.r = err_set(e, code, "no XML we read: line %lu: %s",
                      (unsigned long)XML_GetCurrentLineNumber(w.parser), w.bound);
    else if (!w.r && status != XML_STATUS_OK)
        w.r = err_set(e, code, "no XML: line %lu: %s",
                      (unsigned long)XML_GetCurrentLineNumber(w.parser),
                      XML_ErrorString(XML_GetErrorCode(w.parser)));
    XML_ParserFree(w.parser);
    for (int i = 0; i < XML_DEPTH; i++)
        buf_release(&w.text[i]);
    return w.r;
}
