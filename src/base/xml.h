/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XML that a server answers with, as a walk over its elements. A thin face over one library
 * (docs/decisions/0012), safe with what a hostile server sends: no document type, so no entities but the
 * five of XML itself; bounded depth, names and texts; nothing is fetched.
 */
#ifndef CM_BASE_XML_H
#define CM_BASE_XML_H

#include "base/err.h"

enum { XML_DEPTH = 16, XML_PATH = 512, XML_TEXT = 64 * 1024 };

/*
 * Called at the end of each element, children before their parent: `path` is the element's place,
 * "ListBucketResult/Contents/Key"; `text` what stood in it between its children, as UTF-8. Nonzero
 * ends the walk.
 */
typedef int xml_element(void *arg, const char *path, const char *text, struct err *e);

/* `code` if this is not well-formed or beyond the bounds; what the function returned if not 0. */
int xml_walk(const char *data, size_t len, xml_element *fn, void *arg, int code, struct err *e);

#endif
