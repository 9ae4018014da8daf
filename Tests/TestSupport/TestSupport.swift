// SPDX-License-Identifier: Apache-2.0
/// See the type.
public enum TestSupport {}
