/* SPDX-License-Identifier: Apache-2.0 */
/* Real services of the test program's own, by the scripts in test/services/. */
#ifndef CM_FAKE_SERVICE_H
#define CM_FAKE_SERVICE_H

/*
 * Runs test/services/NAME.sh `verb` on the service in `folder`; what it prints. The service ends with this
 * program. Without it tests prove nothing, so where the script fails, the program does.
 * The script stands in the source folder: the working one, or CM_SOURCE_ROOT. The caller frees.
 */
char *service_run(const char *name, const char *verb, const char *folder);
/* The same with nothing to look at; `part` may be "". */
void service_do(const char *name, const char *verb, const char *folder, const char *part);

/* The value in what `env` printed: a line VARIABLE=value or VARIABLE='value'. The caller frees. */
char *service_value(const char *env, const char *variable);

#endif
