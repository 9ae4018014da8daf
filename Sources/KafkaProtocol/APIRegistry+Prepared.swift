// SPDX-License-Identifier: Apache-2.0
//
// APIRegistry+Prepared.swift
// APIs that can be read and written, and that nobody is told of: their handlers are not complete yet.

extension APIRegistry {
    /// APIs with codecs and without a service, by rising key; a request for one is answered like an unknown one.
    ///
    /// An entry moves to ``served`` with the change that serves it.
    public static let prepared: [APIDescription] = []
}
