/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cmd.h"

void cmd_hint(struct err *e) {
    static const struct {
        int code;
        const char *hint;
    } hints[] = {
        {ERR_USAGE, "clickmill --help lists the verbs, clickmill VERB --help their options"},
        {ERR_CONFIG, "clickmill config list names the keys and their values, config show those in "
                     "force and where each came from"},
        {ERR_STREAM,
         "clickmill doctor tries the stream; what was acknowledged or committed is safe"},
        {ERR_STORAGE,
         "clickmill doctor tries the lake, clickmill table history NAME shows what was "
         "committed: that is safe"},
        {ERR_ENGINE, "clickmill sql \"DESCRIBE silver.events\" shows a table's columns; with -c "
                     "log.level=debug a step tells what it runs"},
        {ERR_SINK, "clickmill doctor tries the database; load can be repeated at any time"},
        {ERR_STOPPED, "what was committed is safe: the same command again goes on from there"},
    };
    for (size_t i = 0; i < ARRAY_LEN(hints) && !e->hint[0]; i++)
        if (hints[i].code == e->code)
            err_hint(e, "%s", hints[i].hint);
}
