// Reads the status again every ten seconds, while somebody looks at it and touches nothing. The page is whole without this.
'use strict';

(() => {
  const every = 10_000;
  const button = document.getElementById('refresh');
  if (!button || location.pathname !== '/') return;

  let on = true;
  const show = () => {
    button.setAttribute('aria-pressed', String(on));
    button.textContent = on ? 'Refreshes by itself' : 'Does not refresh';
  };
  button.hidden = false;
  button.addEventListener('click', () => {
    on = !on;
    show();
  });
  show();

  const busy = () => {
    const main = document.querySelector('main');
    return document.hidden || (main !== document.activeElement && main.contains(document.activeElement)) || !getSelection().isCollapsed;
  };

  const refresh = async () => {
    if (!on || busy()) return;
    try {
      const answer = await fetch('/', { credentials: 'same-origin', redirect: 'error', signal: AbortSignal.timeout(every) });
      if (!answer.ok || busy()) return;
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
      for (const part of ['main', 'footer time']) {
        const [old, fresh] = [document.querySelector(part), next.querySelector(part)];
        if (old && fresh) old.replaceWith(document.adoptNode(fresh));
      }
    } catch {
      // The time in the footer says how old this is.
    }
  };
  setInterval(refresh, every);
})();
