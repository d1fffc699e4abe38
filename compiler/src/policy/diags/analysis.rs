//! The findings about rules that come to nothing beside others.

use crate::diag::{Code, Finding};
use crate::policy::{Deny, GpuSet, Grant};
use crate::source::{Span, Spanned};

use super::{contradiction, listed};

/// A grant that other grants leave no container of these tenants, unless one names it.
pub(in crate::policy) fn grant_shadowed(grant: &Grant, tenants: &[&str], by: &[&Grant]) -> Finding {
    let (name, who) = (&grant.name.value, listed("and", tenants.iter().copied()));
    let whose = if tenants.len() == 1 { "tenant" } else { "tenants" };
    let servants = listed("or", by.iter().map(|by| by.name.value.as_str()));
    let message = format!(
        "grant `{name}` never applies by itself: every container of {whose} {who} that it is for is served by {servants} first"
    );
    let finding = Finding::at(Code::GrantShadowed, grant.name.span, "always comes too late", message);
    let label = |finding: Finding, by: &&Grant| {
        let why = if by.rank > grant.rank {
            format!("`rank={}` is above `rank={}`", by.rank, grant.rank)
        } else {
            "gives the same".to_owned()
        };
        finding.and(by.name.span, why)
    };
    let help = if tenants.len() == grant.to.len() {
        "remove it, give it a higher `rank=`, or `named=#true` if containers are to ask for it".to_owned()
    } else {
        format!("take {who} out of its `to`, or give it a higher `rank=`")
    };
    by.iter().fold(finding, label).help(help)
}

/// A grant, and so many more, of which it could not be told within bounds whether others leave it anything.
pub(in crate::policy) fn shadow_unknown(grant: &Grant, more: usize) -> Finding {
    let (name, others) = (&grant.name.value, "the others of its tenants is too much to compare");
    let message = match more {
        0 => format!("whether grant `{name}` ever applies beside {others}"),
        _ => format!("whether grant `{name}` ever applies beside {others}, and so for {more} more grants"),
    };
    Finding::at(Code::NotAnalysed, grant.name.span, "not known", message)
        .help("write patterns with fewer `*` and `?`, or fewer alternatives")
}

/// A deny that takes nothing that others do not take, whatever hosts there are.
pub(crate) fn deny_shadowed(deny: &Deny, by: &[&Deny]) -> Finding {
    let name = &deny.name.value;
    let others = listed("and", by.iter().map(|by| by.name.value.as_str()));
    let verb = if by.len() == 1 { "takes" } else { "take" };
    let message = format!("deny `{name}` takes nothing more away: {others} {verb} all of it");
    let finding = Finding::at(Code::DenyShadowed, deny.name.span, "nothing is left for it", message);
    by.iter()
        .fold(finding, |finding, by| finding.and(by.name.span, "taken here"))
        .help("remove it, or name what else it is to take away")
}

/// A deny, and so many more, of which it could not be told within bounds whether others take the same.
pub(crate) fn denies_unknown(deny: &Deny, more: usize) -> Finding {
    let (name, others) = (&deny.name.value, "beside the other denies is too much to compare");
    let message = match more {
        0 => format!("whether deny `{name}` takes anything {others}"),
        _ => format!("whether deny `{name}` takes anything {others}, and so for {more} more denies"),
    };
    Finding::at(Code::NotAnalysed, deny.name.span, "not known", message)
        .help("write fewer denies, each of more tenants and gpu-sets")
}

/// A gpu-set that nothing can be in.
pub(in crate::policy) fn selectors_never(set: &GpuSet, first: Span, last: Span) -> Finding {
    let message = format!("nothing can be in gpu-set `{}`: no device satisfies all of these", set.name.value);
    contradiction(last, "and this", message)
        .and(first, "this")
        .help("write alternatives on one line, `model \"a\" \"b\"`, or in one `any-of`")
}

/// A gpu-set with too many alternatives to look at each.
pub(in crate::policy) fn selectors_unknown(set: &GpuSet) -> Finding {
    let message =
        format!("whether anything can be in gpu-set `{}` at all is too much to compare", set.name.value);
    Finding::at(Code::NotAnalysed, set.name.span, "not known", message)
        .help("write fewer alternatives in `any-of`, and patterns with fewer `*` and `?`")
}

/// A tenant that everybody is.
pub(in crate::policy) fn everybody(tenant: &Spanned<String>, what: &str, span: Span) -> Finding {
    let name = &tenant.value;
    let message = format!("whoever has any {what} at all is of tenant `{name}`");
    Finding::at(Code::WildcardIdentity, span, "of everybody", message)
        .and(tenant.span, "all that this has")
        .help("name those who are meant, or accept it by `allow-finding GP5008 reason=\"…\" until=\"…\"`")
}

/// A tenant of which it could not be told whether everybody is of it.
pub(in crate::policy) fn everybody_unknown(tenant: &Spanned<String>, span: Span) -> Finding {
    let message = format!("whether everybody is of tenant `{}` is too much to compare", tenant.value);
    Finding::at(Code::NotAnalysed, span, "not known", message).help("write fewer `*` and `?`")
}

/// A tenant of which it could not be told whether only a pod's name tells it from others; nor of tenants after it.
pub(in crate::policy) fn by_name_unknown(tenant: &str, span: Span) -> Finding {
    let message = format!(
        "whether only a pod's name tells tenant `{tenant}` and those after it from others is too much to compare"
    );
    Finding::at(Code::NotAnalysed, span, "not known", message).help("write fewer `*` and `?`")
}

/// Two tenants of which a pod is one or the other by its name.
pub(in crate::policy) fn told_by_name(tenants: [&str; 2], spans: [Span; 2], namespace: &str) -> Finding {
    let ([one, other], [first, second]) = (tenants, spans);
    let message = format!(
        "whoever makes pods in a namespace of both chooses between tenants `{one}` and `{other}` by the pod's name"
    );
    Finding::at(Code::TenantByName, second, format!("tenant `{other}`"), message)
        .and(first, format!("tenant `{one}`"))
        .help("give each of them a namespace of its own")
        .witness(format!("a pod of namespace `{namespace}`, which may be called as either of them says"))
}
