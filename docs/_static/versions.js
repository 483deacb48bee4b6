// The switch between versions of this documentation. `versions.json` lies beside the folders of the
// versions and is a list of {"version": "0.1.0", "url": "https://.../0.1.0/"}, the newest first;
// without it, as in a build on one's own machine, the switch stays hidden.
document.addEventListener("DOMContentLoaded", async () => {
  const box = document.getElementById("versions");
  if (!box) return;
  const root = new URL(document.documentElement.dataset.content_root, location.href);
  let versions;
  try {
    const answer = await fetch(new URL("../versions.json", root));
    versions = answer.ok ? await answer.json() : [];
  } catch {
    return; // pages opened as files
  }
  if (!Array.isArray(versions) || versions.length < 2) return;
  const select = box.querySelector("select");
  const here = box.dataset.version;
  for (const { version, url } of versions) {
    const option = new Option(version, new URL(url, root), version === here, version === here);
    select.add(option);
  }
  if (select.selectedIndex < 0 || select.selectedOptions[0].text !== here) {
    select.add(new Option(here, root, true, true), 0);
  }
  select.addEventListener("change", async () => {
    const other = new URL(select.value, location.href);
    // the same page of the other version, where it has one
    const page = new URL(location.href.slice(root.href.length), other);
    const answer = await fetch(page, { method: "HEAD" }).catch(() => ({ ok: false }));
    location.href = answer.ok ? page : other;
  });
  box.hidden = false;
});
