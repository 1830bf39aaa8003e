/* SPDX-License-Identifier: Apache-2.0 */
/* SANITIZED: 1 under AddressSanitizer, which takes many times the memory and the time; else 0. */
#ifndef CM_FAKE_SANITIZED_H
#define CM_FAKE_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
