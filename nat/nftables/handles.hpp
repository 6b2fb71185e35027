// Smart pointers for libnftnl's objects, each freed by the library's own function. Not here: filling the objects (layout, rule_writer).
#pragma once

#include <cerrno>
#include <memory>
#include <system_error>

#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/flowtable.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

namespace hanat::nat {

template <auto release> struct Releaser {
  template <typename Object> void operator()(Object* object) const { release(object); }
};
using TablePtr = std::unique_ptr<nftnl_table, Releaser<nftnl_table_free>>;
using ChainPtr = std::unique_ptr<nftnl_chain, Releaser<nftnl_chain_free>>;
using RulePtr = std::unique_ptr<nftnl_rule, Releaser<nftnl_rule_free>>;
using SetPtr = std::unique_ptr<nftnl_set, Releaser<nftnl_set_free>>;
using FlowtablePtr = std::unique_ptr<nftnl_flowtable, Releaser<nftnl_flowtable_free>>;
using UserDataPtr = std::unique_ptr<nftnl_udata_buf, Releaser<nftnl_udata_buf_free>>;

/// Throws if libnftnl returned nullptr, which means out of memory.
template <typename Pointer> Pointer made(Pointer pointer) {
  if (!pointer) throw std::system_error(ENOMEM, std::generic_category(), "make a netfilter message");
  return pointer;
}

} // namespace hanat::nat
