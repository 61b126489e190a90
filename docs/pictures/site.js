// Tables that scroll sideways take the keyboard's focus, so that arrow keys move them.
document$.subscribe(() => {
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) table.tabIndex = 0
})
